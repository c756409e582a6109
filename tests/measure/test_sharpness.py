import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.errors import InputError
from farfield.measure import epsilon_sharpness


class Weights(nn.Module):
    def __init__(self, values):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(values, dtype=torch.float64))


def measured(values, loss, loader=(0.0,), **settings):
    return epsilon_sharpness(Weights(values), lambda m, batch: loss(m.theta) + batch, list(loader), **settings)


def test_a_linear_loss_in_closed_form():
    # The corner of the box: the loss rises by sum |c_i| e (|theta_i| + 1).
    c, theta, e = torch.tensor([2.0, -3.0]).double(), [0.5, -1.0], 1e-3
    base = 2 * 0.5 + 3 * 1.0
    expected = 100 * e * (2 * 1.5 + 3 * 2.0) / (1 + base)
    assert measured(theta, lambda t: c @ t, e=e, lr=0.1) == pytest.approx(expected)
    # In the paper's own settings the gradient is strong enough to get there, too.
    assert measured(theta, lambda t: c @ t) == pytest.approx(expected / 100)


@given(st.floats(0.1, 3), st.floats(0.1, 100), st.floats(1e-4, 1e-1))
def test_a_quadratic_loss_in_closed_form(theta, a, e):
    # L = a theta^2 / 2, highest at theta + e (theta + 1).
    loss, top = a * theta**2 / 2, a * (theta + e * (theta + 1)) ** 2 / 2
    found = measured([theta], lambda t: (a * t.square()).sum() / 2, e=e, lr=1.0, steps=30)
    assert found == pytest.approx(100 * (top - loss) / (1 + loss), rel=1e-6)


def test_a_sharper_minimum_is_sharper_and_a_flat_loss_is_zero():
    # At a minimum the gradient is 0 but for the draws; a little beside it the ascent leaves it.
    sharp, flat = (measured([1e-3], lambda t, a=a: (a * t.square()).sum(), e=0.1, lr=0.5) for a in (10.0, 1.0))
    assert sharp > 5 * flat > 0
    assert measured([1.0], lambda t: 0 * t.sum(), e=0.1) == 0


def test_the_loss_is_the_mean_over_all_batches():
    # 0.5 and 1.5 on top: the base is 1 + 1, whichever batch comes last.
    expected = 100 * 2e-3 / (1 + 2.0)
    assert measured([1.0], lambda t: t.sum(), [0.5, 1.5], e=1e-3, lr=0.1) == pytest.approx(expected)


def test_gradients_are_means_over_the_accumulated_batches():
    # One step of lr * mean gradient, in a box too wide to matter: batches weigh 1 and 3.
    def loss(model, weight):
        return weight * model.theta.sum()

    found = epsilon_sharpness(Weights([1.0]), loss, [1.0, 3.0], e=10.0, lr=0.01, steps=1, accumulation=2)
    assert found == pytest.approx(100 * 2 * 0.02 / (1 + 2.0))
    alone = epsilon_sharpness(Weights([1.0]), loss, [1.0, 3.0], e=10.0, lr=0.01, steps=1, accumulation=1)
    assert alone == pytest.approx(100 * 2 * 0.01 / (1 + 2.0))


def test_an_ascent_that_overshoots_never_counts_as_below_zero():
    # Uphill from 0.6 of cos(20 t) with a huge step lands anywhere; the start counts too.
    assert measured([0.6], lambda t: (20 * t).cos().sum() + 2, e=1.0, lr=50.0) >= 0


def test_the_model_comes_back_bit_for_bit_and_is_measured_without_dropout():
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    g = torch.Generator().manual_seed(0)
    batches = [{"x": torch.randn(16, 3, generator=g), "y": torch.randint(2, (16,), generator=g)} for _ in range(3)]

    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch["x"]), batch["y"])

    loss(model, batches[0]).backward()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    first = epsilon_sharpness(model, loss, batches, e=1e-2, lr=1.0, steps=20)
    assert first > 0 and first == epsilon_sharpness(model, loss, batches, e=1e-2, lr=1.0, steps=20)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, q) for p, q in zip(model.parameters(), gradients))
    assert all(m.training for m in model.modules())
    # A wider box never holds less, and frozen parameters stay at home.
    assert epsilon_sharpness(model, loss, batches, e=1e-1, lr=1.0, steps=20) > first
    model[0].requires_grad_(False)
    assert epsilon_sharpness(model, loss, batches, e=1e-2, lr=1.0, steps=20) < first


def test_bad_arguments_are_refused():
    for name, value in {"e": 0.0, "lr": float("nan"), "steps": 0, "accumulation": 0}.items():
        with pytest.raises(InputError, match=f"{name} is"):
            measured([1.0], lambda t: t.sum(), **{name: value})
    with pytest.raises(InputError, match="loader has no batch"):
        measured([1.0], lambda t: t.sum(), [])
    with pytest.raises(InputError, match="the loss is inf"):
        measured([1.0], lambda t: t.sum() / 0)
    with pytest.raises(InputError, match="can be read only once"):
        epsilon_sharpness(Weights([1.0]), lambda m, b: m.theta.sum(), iter([0.0]))
    with pytest.raises(InputError, match="no trainable parameter"):
        epsilon_sharpness(Weights([1.0]).requires_grad_(False), lambda m, b: m.theta.sum(), [0.0])
