import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, r3f, r4f


def symmetric(a, b):
    p, q = a.softmax(1), b.softmax(1)
    return ((p - q) * (p / q).log()).sum(1).mean()


@pytest.fixture
def noised_loss(settings):
    noise = torch.Generator().manual_seed(settings["seed"])

    def loss(model, batch, _):
        x = batch["x"]
        logits, noised = model(x), model(x + torch.empty_like(x).normal_(0, 0.4, generator=noise))
        return cross_entropy(logits, batch["y"]) + 5.0 * symmetric(logits, noised)

    return loss


def test_equals_the_noised_pass_written_out(task, new_model, plain_loop, noised_loss, check_same, differ, settings):
    fitted = r3f(new_model(), task, weight=5.0, sigma=0.4, **settings)
    expected, values = plain_loop(new_model(), noised_loss, **settings)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=1e-4)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_weight_zero_is_erm_step_for_step(task, new_model, check_same, settings):
    a = r3f(new_model(normalise=True, dropout=0.3), task, weight=0.0, **settings)
    b = erm(new_model(normalise=True, dropout=0.3), task, **settings)
    check_same(a.model, b.model, exact=True)


def test_r4f_has_a_head_of_spectral_norm_one_in_every_step(task, new_model, settings):
    norms, keys = [], []

    def look(step, model, loss):
        norms.append(torch.linalg.matrix_norm(model.head.weight, 2).item())
        keys.append(sorted(model.state_dict()))

    model = new_model()
    fitted = r4f(model, task, hooks=[look], **{**settings, "steps": 60})
    assert fitted.model is model
    # One power iteration a pass lags a little behind the weights.
    assert norms[0] == pytest.approx(1, abs=0.02) and max(abs(n - 1) for n in norms) < 0.15
    free = r3f(new_model(), task, **{**settings, "steps": 60}).model
    assert torch.linalg.matrix_norm(free.head.weight, 2) > 1.5
    # A checkpoint of any step fits the model: the names are those that it came with.
    assert all(k == sorted(new_model().state_dict()) for k in keys)
    assert type(model.head) is nn.Linear


def test_r4f_equals_r3f_on_a_model_with_a_normalised_head(
    task, new_model, plain_loop, noised_loss, check_same, settings
):
    fitted = r4f(new_model(), task, weight=5.0, sigma=0.4, **settings)
    model = new_model()
    with torch.random.fork_rng():
        torch.manual_seed(settings["seed"])
        nn.utils.parametrizations.spectral_norm(model.head)
    expected, values = plain_loop(model, noised_loss, **settings)
    nn.utils.parametrize.remove_parametrizations(expected.head.eval(), "weight")
    # The power iteration moves once a pass here and there, so within what is left of it.
    for name, p in fitted.model.state_dict().items():
        assert torch.allclose(p, expected.state_dict()[name], atol=2e-3)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=2e-3)


def test_r4f_finds_the_last_linear_layer_of_any_model_and_says_where_there_is_none(task, settings):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    r4f(model, task, **{**settings, "steps": 60})
    assert torch.linalg.matrix_norm(model[2].weight, 2).item() == pytest.approx(1, abs=0.15)
    with pytest.raises(InputError, match=r"r4f normalises the last nn\.Linear, and Sequential has none"):
        r4f(nn.Sequential(nn.Conv1d(1, 1, 1)), task, steps=1)


def test_settings_out_of_range_are_refused(task, new_model):
    for recipe in (r3f, r4f):
        with pytest.raises(InputError, match=r"weight is -1\.0"):
            recipe(new_model(), task, steps=1, weight=-1.0)
        with pytest.raises(InputError, match=r"sigma is -1\.0"):
            recipe(new_model(), task, steps=1, sigma=-1.0)
