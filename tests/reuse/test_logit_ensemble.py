import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.reuse import LogitEnsemble
from farfield.tasks import Table


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def members(count=3, classes=4):
    models = []
    for i in range(count):
        model = nn.Linear(5, classes)
        with torch.no_grad():
            model.weight.copy_(draw(classes, 5, seed=i))
            model.bias.copy_(draw(classes, seed=10 + i))
        models.append(model)
    return models


def test_the_mean_of_logits_and_the_logits_of_the_mean_probability():
    models, x = members(), draw(7, 5)
    logits = torch.stack([m(x) for m in models])
    torch.testing.assert_close(LogitEnsemble(models)(x), logits.mean(0))
    torch.testing.assert_close(LogitEnsemble(models, "softmax")(x).exp(), logits.softmax(2).mean(0))
    torch.testing.assert_close(LogitEnsemble(models[:1])(x), logits[0])
    assert LogitEnsemble(models).member_logits(x).shape == (7, 3, 4)


@pytest.mark.parametrize("mode", ["linear", "mlp"])
def test_before_it_is_fitted_a_combiner_is_the_mean(mode):
    models, x = members(), draw(7, 5)
    torch.testing.assert_close(LogitEnsemble(models, mode)(x), LogitEnsemble(models)(x))


def test_a_linear_combiner_starts_as_the_mean():
    models, x = members(), draw(7, 5)
    ensemble = LogitEnsemble(models, "linear")
    ensemble.fit(Table(x=x, y=torch.arange(7) % 4), steps=1, learning_rate=0.0)
    torch.testing.assert_close(ensemble(x), LogitEnsemble(models)(x))


@pytest.mark.parametrize("mode", ["linear", "mlp"])
def test_a_fitted_combiner_finds_the_member_that_is_right(mode):
    # The first member is right, the other two are confidently wrong.
    models = members(1, 2)
    wrong = nn.Linear(5, 2)
    with torch.no_grad():
        wrong.weight.copy_(-models[0].weight * 3)
        wrong.bias.copy_(-models[0].bias * 3)
    x = draw(800, 5)
    y = models[0](x).argmax(1)
    ensemble = LogitEnsemble([*models, wrong, wrong], mode, hidden=16)
    weights = [p.clone() for p in ensemble.models.parameters()]
    assert (LogitEnsemble([*models, wrong, wrong])(x).argmax(1) == y).float().mean() < 0.05
    ensemble.fit(Table(x=x[:600], y=y[:600]), steps=400)
    assert (ensemble(x[600:]).argmax(1) == y[600:]).float().mean() > 0.97
    assert all(torch.equal(a, b) for a, b in zip(weights, ensemble.models.parameters()))
    # The same again from the start.
    before = ensemble(x)
    ensemble.fit(Table(x=x[:600], y=y[:600]), steps=400)
    assert torch.equal(before, ensemble(x))


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="models is empty"):
        LogitEnsemble([])
    with pytest.raises(InputError, match="mode is 'median'"):
        LogitEnsemble(members(), "median")
    with pytest.raises(InputError, match="hidden is 0"):
        LogitEnsemble(members(), "mlp", hidden=0)
    with pytest.raises(InputError, match="mode is 'mean', which has nothing to fit"):
        LogitEnsemble(members()).fit(Table(x=draw(4, 5), y=torch.zeros(4, dtype=torch.long)))
    with pytest.raises(InputError, match="y goes from 4 to 4; the models have 4 classes"):
        LogitEnsemble(members(), "linear").fit(Table(x=draw(4, 5), y=torch.full((4,), 4)))
    with pytest.raises(InputError, match="logits of shapes"):
        LogitEnsemble([*members(1, 2), *members(1, 3)])(draw(2, 5))
