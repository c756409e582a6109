import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.measure import AdversarialDrop, adversarial_drop, fgsm, pgd
from farfield.tasks import Table


def data(n=12, d=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, d, generator=g), torch.randint(2, (n,), generator=g)


def linear(d=5, seed=0):
    model = nn.Linear(d, 2)
    weights = torch.randn(2, d, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        model.weight.copy_(weights)
        model.bias.zero_()
    return model


@given(st.floats(0.001, 1), st.integers(0, 30))
def test_the_margin_of_a_linear_model_falls_by_eps_times_the_l1_norm(eps, seed):
    model, (x, y) = linear(seed=seed), data(seed=seed)
    w = (model.weight[1] - model.weight[0]).detach()
    sign = 2.0 * y - 1
    before, after = ((sign * (inputs @ w)).numpy() for inputs in (x, fgsm(model, x, y, eps, clip=None)))
    np.testing.assert_allclose(after, before - eps * float(w.abs().sum()), rtol=1e-3, atol=1e-5)


def test_no_step_is_the_identity_and_every_step_is_clipped():
    model, (x, y) = linear(), data()
    assert torch.equal(fgsm(model, x, y, 0.0), x)
    moved = fgsm(model, x, y, 0.3)
    assert moved.min() >= 0 and moved.max() <= 1
    assert torch.equal(moved, fgsm(model, x, y, 0.3, clip=None).clamp(0, 1))
    assert (moved - x).abs().max() <= 0.3 + 1e-6


def test_other_examples_of_the_batch_do_not_matter():
    model, (x, y) = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)), data()
    together = fgsm(model, x, y, 0.1)
    alone = torch.cat([fgsm(model, x[i : i + 1], y[i : i + 1], 0.1) for i in range(len(x))])
    torch.testing.assert_close(together, alone)


def test_the_model_and_the_inputs_stay_as_they_were():
    model, (x, y) = nn.Sequential(linear(), nn.Dropout(0.9)), data()
    cross_entropy(model[0](x), y).backward()
    gradient, given_x = model[0].weight.grad.clone(), x.clone()
    with torch.no_grad():
        fgsm(model, x, y, 0.1)
    assert torch.equal(model[0].weight.grad, gradient) and torch.equal(x, given_x) and not x.requires_grad
    assert model.training and model[1].training


def test_the_drop_counts_what_a_loop_counts():
    model, (x, y) = linear(), data(40)
    found = adversarial_drop(model, Table(x=x, y=y), 0.05, batch_size=7)
    attacked = fgsm(model, x, y, 0.05)
    for inputs, accuracy, loss in ((x, found.clean, found.clean_loss), (attacked, found.attacked, found.attacked_loss)):
        logits = model(inputs).detach()
        assert accuracy == pytest.approx(float((logits.argmax(1) == y).float().mean()))
        assert loss == pytest.approx(float(cross_entropy(logits, y)), rel=1e-5)
    assert found.n == 40 and found.penalty == found.clean - found.attacked > 0
    assert found.attacked_loss > found.clean_loss


def test_loaders_of_every_form_are_read():
    model, (x, y) = linear(), data(20)
    expected = adversarial_drop(model, Table(x=x, y=y), 0.1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=6)
    assert isinstance(expected, AdversarialDrop)
    for given_loader in (loader, [{"x": x, "y": y}], [(x[:3], y[:3]), (x[3:], y[3:])]):
        found = adversarial_drop(model, given_loader, 0.1)
        assert (found.clean, found.attacked, found.n) == (expected.clean, expected.attacked, 20)
    # Images of bytes come out of a table on [0, 1].
    images = Table(x=(x * 255).round().to(torch.uint8), y=y)
    assert adversarial_drop(model, images, 2 / 255).n == 20


def test_bad_arguments_are_refused():
    model, (x, y) = linear(), data()
    with pytest.raises(InputError, match=r"eps is -0\.1; it must be at least 0"):
        fgsm(model, x, y, -0.1)
    with pytest.raises(InputError, match="x has 12 examples but y has 3"):
        fgsm(model, x, y[:3], 0.1)
    with pytest.raises(InputError, match=r"x is torch\.int64; expected a tensor of real numbers"):
        fgsm(model, torch.zeros(3, 5, dtype=torch.long), y[:3], 0.1)
    with pytest.raises(InputError, match=r"x goes from 2 to 2, outside clip \(0\.0, 1\.0\)"):
        fgsm(model, torch.full((3, 5), 2.0), y[:3], 0.1)
    with pytest.raises(InputError, match=r"clip is \(1, 0\)"):
        fgsm(model, x, y, 0.1, clip=(1, 0))
    with pytest.raises(InputError, match="loader has no example"):
        adversarial_drop(model, [], 0.1)
    with pytest.raises(InputError, match="a batch of loader is the columns x, label; expected columns x and y"):
        adversarial_drop(model, [{"x": x, "label": y}], 0.1)
    with pytest.raises(InputError, match="a batch of loader is a Tensor"):
        adversarial_drop(model, [x], 0.1)


@given(st.floats(0.01, 2), st.integers(0, 30))
def test_descent_on_a_linear_model_goes_straight_against_the_weights(eps, seed):
    model, (x, y) = linear(seed=seed), data(seed=seed)
    w = (model.weight[1] - model.weight[0]).detach()
    sign = (2.0 * y - 1)[:, None]
    # Four steps of a third of the radius end on the sphere.
    delta = pgd(model, x, y, eps, eps / 3, 4) - x
    torch.testing.assert_close(delta, -eps * sign * w / w.norm(), rtol=1e-3, atol=1e-5)
    short = pgd(model, x, y, eps, eps / 10, 4) - x
    torch.testing.assert_close(short.norm(dim=1), torch.full((len(x),), 0.4 * eps), rtol=1e-3, atol=1e-6)
    largest = pgd(model, x, y, eps, eps / 3, 4, norm="linf") - x
    torch.testing.assert_close(largest, -eps * sign * w.sign(), rtol=1e-3, atol=1e-5)


def test_one_step_of_the_largest_norm_is_the_fast_gradient_sign():
    model, (x, y) = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), data()
    torch.testing.assert_close(pgd(model, x, y, 0.1, 0.1, 1, norm="linf"), fgsm(model, x, y, 0.1, clip=None))


def test_each_step_follows_the_gradient_of_the_loss_as_a_loop_does():
    model, (x, y) = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3)), data(20)
    for clip in (None, (0.0, 1.0)):
        expected = x.clone()
        for _ in range(6):
            expected.requires_grad_()
            (g,) = torch.autograd.grad(cross_entropy(model(expected), y, reduction="sum"), expected)
            delta = expected.detach() + 0.2 * g / g.norm(dim=1, keepdim=True) - x
            delta = delta * (0.5 / delta.norm(dim=1, keepdim=True)).clamp(max=1)
            expected = x + delta if clip is None else (x + delta).clamp(*clip)
        found = pgd(model, x, y, 0.5, 0.2, 6, clip=clip, batch_size=7)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_sure_model_is_attacked_and_a_constant_one_leaves_inputs_alone():
    model, (x, y) = linear(), data()
    with torch.no_grad():
        model.weight.mul_(1e4)
        right = model(x).argmax(1)
    # The loss is 0 to rounding at every input that is classified right, and so is its gradient.
    delta = pgd(model, x, right, 0.5, 0.1, 10) - x
    torch.testing.assert_close(delta.norm(dim=1), torch.full((len(x),), 0.5))
    with torch.no_grad():
        model.weight.zero_()
    assert torch.equal(pgd(model, x, y, 0.5, 0.1, 3), x)
    assert torch.equal(pgd(linear(), x, y, 0.0, 0.1, 3), x)


def test_bad_settings_of_descent_are_refused():
    model, (x, y) = linear(), data()
    with pytest.raises(InputError, match="step is 0 and iters 1"):
        pgd(model, x, y, 0.1, 0, 1)
    with pytest.raises(InputError, match=r"step is 0\.1 and iters 0"):
        pgd(model, x, y, 0.1, 0.1, 0)
    with pytest.raises(InputError, match="norm is 'l1'"):
        pgd(model, x, y, 0.1, 0.1, 1, norm="l1")
    with pytest.raises(InputError, match="batch_size is 0"):
        pgd(model, x, y, 0.1, 0.1, 1, batch_size=0)
    with pytest.raises(InputError, match="outside clip"):
        pgd(model, x + 2, y, 0.1, 0.1, 1, clip=(0.0, 1.0))
