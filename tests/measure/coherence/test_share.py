import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.measure import GradientShare, gradient_share
from farfield.measure.coherence import share as module


def losses(outputs, y):
    return cross_entropy(outputs, y, reduction="none")


@pytest.fixture
def setting():
    g = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3)).double()
    x, y = torch.randn(30, 4, generator=g, dtype=torch.float64), torch.randint(3, (30,), generator=g)
    return model, x, y, torch.rand(30, generator=g) < 0.3


def gradient(model, x, y, n):
    value = losses(model(x), y).sum() / n
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(model.parameters()))])


@pytest.mark.parametrize("chunk", [7, 1024])
def test_equals_the_gradients_of_both_parts(setting, chunk, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", chunk)
    model, x, y, mask = setting
    found = gradient_share(model, losses, x, y, mask)
    rest = gradient_share(model, losses, x.numpy(), y.numpy(), ~mask.numpy())
    model.eval()
    ours, theirs = gradient(model, x[mask], y[mask], 30), gradient(model, x[~mask], y[~mask], 30)
    whole = ours + theirs
    assert found.share == pytest.approx(float(whole @ ours / (whole @ whole)))
    assert found.squared_norm == pytest.approx(float(whole @ whole))
    assert found.share + rest.share == pytest.approx(1)


def test_all_is_1_none_is_0_and_the_model_is_left_alone(setting):
    model, x, y, mask = setting
    model.train()
    assert gradient_share(model, losses, x, y, torch.ones_like(mask)).share == pytest.approx(1)
    assert gradient_share(model, losses, x, y, torch.zeros_like(mask)).share == 0
    assert model.training and all(p.grad is None for p in model.parameters())


def test_what_works_against_the_step_is_below_0():
    model = nn.Linear(1, 1, bias=False)
    x, y = torch.tensor([[3.0], [-1.0]]), torch.zeros(2)
    found = gradient_share(model, lambda out, y: out[:, 0], x, y, torch.tensor([False, True]))
    assert isinstance(found, GradientShare) and found.share == pytest.approx(-0.5)


def test_what_does_not_fit_is_refused(setting):
    model, x, y, mask = setting
    for given, message in [
        ((losses, x, y, mask[:3]), "mask is torch.bool of shape"),
        ((losses, x, y, mask.long()), "mask is torch.int64"),
        ((cross_entropy, x, y, mask), "loss_fn returned shape"),
        ((lambda o, y: 0 * losses(o, y), x, y, mask), "gradient of all examples is zero"),
    ]:
        with pytest.raises(InputError, match=message):
            gradient_share(model, *given)
