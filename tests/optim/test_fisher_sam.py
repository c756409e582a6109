import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.errors import InputError
from farfield.optim import SAM, FisherSAM, TRAMFisher
from farfield.optim._two_step import PIECE

THETA, GRADIENT = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64)


def ascent(gradient, optimizer=FisherSAM, noised=None, **settings):
    p = nn.Parameter(THETA.clone())
    p.grad = gradient.clone()
    made = optimizer([p], torch.optim.SGD, lr=0.1, **settings)
    made.first_step(*([] if noised is None else [[noised]]))
    return p.data - THETA


def test_the_ascent_by_hand():
    epsilon = ascent(GRADIENT, gamma=0.1, eta=0.1)
    assert torch.allclose(epsilon, torch.tensor([0.047845, 0.046619], dtype=torch.float64), atol=1e-6)


@given(st.floats(0.01, 5), st.floats(0, 10), st.floats(0.01, 100))
def test_its_length_in_the_fisher_metric_is_gamma(gamma, eta, scale):
    g = scale * GRADIENT
    epsilon = ascent(g, gamma=gamma, eta=eta)
    metric = 1 + eta * g.square()
    assert torch.allclose((metric * epsilon.square()).sum().sqrt(), torch.tensor(gamma, dtype=torch.float64))


def test_eta_zero_is_sam():
    assert torch.allclose(ascent(GRADIENT, gamma=0.3, eta=0.0), ascent(GRADIENT, SAM, rho=0.3))


def test_the_norm_runs_over_all_groups_and_each_has_its_own_settings():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([3.0]), torch.tensor([4.0])
    groups = [{"params": [a]}, {"params": [b], "gamma": 1.0, "eta": 0.0}]
    FisherSAM(groups, torch.optim.SGD, gamma=0.5, eta=0.1, lr=0.1).first_step()
    norm = (9 / 1.9 + 16) ** 0.5
    assert torch.allclose(a.data, torch.tensor([0.5 * 3 / 1.9 / norm]))
    assert torch.allclose(b.data, torch.tensor([1.0 * 4 / norm]))


def test_the_noised_gradient_makes_the_metric_and_the_plain_one_the_direction():
    noised = torch.tensor([0.0, 10.0], dtype=torch.float64)
    epsilon = ascent(GRADIENT, TRAMFisher, noised, gamma=0.1, eta=0.1)
    moved = torch.tensor([3.0, 4.0 / 11.0], dtype=torch.float64)
    assert torch.allclose(epsilon, 0.1 * moved / (9 + 16 / 11.0) ** 0.5)
    # Noise of size 0 is Fisher-SAM.
    assert torch.allclose(ascent(GRADIENT, TRAMFisher, GRADIENT), ascent(GRADIENT))


def test_a_step_with_a_noised_closure_on_a_quadratic_in_closed_form():
    # L = sum a_i theta_i^2 / 2; the noised pass has the gradient b.
    a, b, gamma, eta, lr = torch.tensor([3.0, 1.0]).double(), torch.tensor([1.0, -2.0]).double(), 0.1, 0.5, 0.1
    theta = nn.Parameter(THETA.clone())
    optimizer = TRAMFisher([theta], torch.optim.SGD, gamma=gamma, eta=eta, lr=lr)
    calls = []

    def closure():
        calls.append("plain")
        optimizer.zero_grad()
        loss = (a * theta.square()).sum() / 2
        loss.backward()
        return loss

    def noised():
        calls.append("noised")
        optimizer.zero_grad()
        loss = (b * theta).sum()
        loss.backward()
        return loss

    loss = optimizer.step(closure, noised)
    g, inverse = a * THETA, 1 / (1 + eta * b.square())
    epsilon = gamma * inverse * g / (g * inverse * g).sum().sqrt()
    assert torch.allclose(theta.data, THETA - lr * a * (THETA + epsilon))
    assert calls == ["noised", "plain", "plain"]
    assert torch.allclose(loss, (a * THETA.square()).sum() / 2)
    # The next step without it looks at its own gradient again.
    theta.data.copy_(THETA)
    optimizer.step(closure)
    inverse = 1 / (1 + eta * g.square())
    epsilon = gamma * inverse * g / (g * inverse * g).sum().sqrt()
    assert torch.allclose(theta.data, THETA - lr * a * (THETA + epsilon))


def test_noised_gradients_that_do_not_match_are_refused():
    theta = nn.Parameter(torch.ones(2))
    optimizer = TRAMFisher([theta], torch.optim.SGD, lr=0.1)
    theta.grad = torch.ones(2)
    with pytest.raises(InputError, match="noised_gradients has 0 entries; there are 1 parameters"):
        optimizer.first_step([])
    with pytest.raises(InputError, match=r"a shape \(3,\) for a parameter of shape \(2,\)"):
        optimizer.first_step([torch.ones(3)])
    with pytest.raises(InputError, match="noised and scaler came together"):
        optimizer.step(lambda: torch.zeros(()), lambda: torch.zeros(()), scaler=torch.amp.GradScaler("cpu"))
    assert not optimizer.perturbed


def test_a_parameter_that_the_noised_pass_did_not_reach_has_no_information():
    theta = nn.Parameter(THETA.clone())
    theta.grad = GRADIENT.clone()
    TRAMFisher([theta], torch.optim.SGD, gamma=0.3, eta=5.0, lr=0.1).first_step([None])
    assert torch.allclose(theta.data - THETA, 0.3 * GRADIENT / 5)


def test_the_noised_gradient_of_a_large_parameter_is_matched_piece_by_piece():
    g = torch.Generator().manual_seed(0)
    theta, gradient, noised = (torch.randn(PIECE + 7, generator=g, dtype=torch.float64) for _ in range(3))
    p = nn.Parameter(theta.clone())
    p.grad = gradient.clone()
    TRAMFisher([p], torch.optim.SGD, gamma=0.5, eta=3.0, lr=0.1).first_step([noised])
    inverse = 1 / (1 + 3.0 * noised.square())
    assert torch.allclose(p.data, theta + 0.5 * inverse * gradient / (inverse * gradient.square()).sum().sqrt())
