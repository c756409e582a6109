import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.losses import DomainAdversarial, gradient_reversal, reversal_strength


def test_reversal_is_the_identity_forward_and_minus_strength_backward():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = gradient_reversal(x, 0.25)
    assert torch.equal(y, x)
    (y * torch.tensor([4.0, 8.0])).sum().backward()
    assert x.grad.tolist() == [-1.0, -2.0]


def test_two_reversals_cancel():
    x = torch.tensor(2.0, requires_grad=True, dtype=torch.float64)
    gradient_reversal(gradient_reversal(x, 2.0) ** 3, 0.5).backward()
    assert x.grad == 12.0


def test_the_schedule_of_the_paper():
    assert reversal_strength(0.0) == 0
    for p in (0.1, 0.5, 1.0):
        assert math.isclose(reversal_strength(p), 2 / (1 + math.exp(-10 * p)) - 1)
        assert math.isclose(reversal_strength(p), math.tanh(5 * p))  # the same function, written in another way


def test_one_step_by_hand():
    # Features f = v x, discriminator logits (0, u f), domains 0 and 1 at x = 1 and x = 2, u = v = 1.
    u, v = torch.tensor(1.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    x, domain = torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1])

    class Discriminator(nn.Module):
        def forward(self, f):
            return torch.cat([torch.zeros_like(f), u * f], 1)

    DomainAdversarial(Discriminator())(v * x, domain, strength=0.5).backward()
    sigmoid = lambda t: 1 / (1 + math.exp(-t))  # noqa: E731
    # d loss / d (u f) is sigmoid(u f) - domain, halved by the mean.
    slope = (sigmoid(1.0) * 1.0 + (sigmoid(2.0) - 1) * 2.0) / 2
    assert math.isclose(u.grad.item(), slope, rel_tol=1e-6)
    assert math.isclose(v.grad.item(), -0.5 * slope, rel_tol=1e-6)


def test_the_value_is_the_discriminators_cross_entropy_whatever_the_strength():
    torch.manual_seed(0)
    discriminator, features, domain = nn.Linear(3, 2), torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    expected = cross_entropy(discriminator(features), domain)
    for strength in (0.0, 1.0, 7.0):
        assert torch.equal(DomainAdversarial(discriminator)(features, domain, strength), expected)


def test_strength_scales_the_gradient_of_the_features_alone():
    torch.manual_seed(0)
    loss, domain = DomainAdversarial(nn.Linear(3, 2)), torch.tensor([0, 1, 1, 0, 1])
    grads = {}
    for strength in (0.0, 1.0, 2.0):
        features = torch.linspace(-1, 1, 15).reshape(5, 3).requires_grad_()
        loss.zero_grad()
        loss(features, domain, strength).backward()
        grads[strength] = features.grad, loss.discriminator.weight.grad.clone()
    assert grads[0.0][0].abs().max() == 0
    assert torch.allclose(2 * grads[1.0][0], grads[2.0][0])
    assert torch.equal(grads[0.0][1], grads[2.0][1])
    assert grads[0.0][1].abs().max() > 0.01


def test_the_discriminators_parameters_are_the_losss():
    assert len(list(DomainAdversarial(nn.Linear(3, 2)).parameters())) == 2


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(InputError, match="features has 2 rows but domain has 1"):
        DomainAdversarial(nn.Linear(3, 2))(torch.zeros(2, 3), torch.tensor([0]))
