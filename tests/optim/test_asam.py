import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.errors import InputError
from farfield.optim import ASAM, SAM

THETA, GRADIENT = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64)


def ascent(theta, gradient, optimizer=ASAM, **settings):
    p = nn.Parameter(theta.clone())
    p.grad = gradient.clone()
    optimizer([p], torch.optim.SGD, lr=0.1, **settings).first_step()
    return p.data - theta


def test_the_ascent_by_hand():
    # |theta| g = (6, 4), of norm 7.2111; theta^2 g = (12, 4).
    epsilon = ascent(THETA, GRADIENT, rho=0.5, eta=0.0)
    assert torch.allclose(epsilon, torch.tensor([0.83205, 0.27735], dtype=torch.float64), atol=1e-5)


def test_eta_adds_to_the_size_of_each_parameter():
    # T = (2.5, 1.5): T g = (7.5, 6), T^2 g = (18.75, 9).
    expected = 0.5 * torch.tensor([18.75, 9.0], dtype=torch.float64) / (7.5**2 + 6**2) ** 0.5
    assert torch.allclose(ascent(THETA, GRADIENT, rho=0.5, eta=0.5), expected)


def test_the_ascent_relative_to_the_parameters_has_length_rho():
    assert torch.allclose((ascent(THETA, GRADIENT, rho=0.7, eta=0.0) / THETA).norm(), torch.tensor(0.7).double())


def test_a_huge_eta_is_sam_with_a_radius_times_eta():
    epsilon = ascent(THETA, GRADIENT, rho=0.05 / 1e8, eta=1e8)
    assert torch.allclose(epsilon, ascent(THETA, GRADIENT, SAM, rho=0.05), rtol=1e-6)


def ascended_function(optimizer, scale, **settings):
    """A ReLU network without biases, layer 1 times ``scale`` and layer 2 over it, after the ascent."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(16, 3, generator=g, dtype=torch.float64), torch.randint(2, (16,), generator=g)
    weights = [torch.randn(5, 3, generator=g, dtype=torch.float64), torch.randn(2, 5, generator=g, dtype=torch.float64)]
    first, second = nn.Parameter(weights[0] * scale), nn.Parameter(weights[1] / scale)

    def forward():
        return torch.relu(x @ first.T) @ second.T

    before = forward().detach()
    optimizer = optimizer([first, second], torch.optim.SGD, lr=0.1, **settings)
    nn.functional.cross_entropy(forward(), y).backward()
    optimizer.first_step()
    return before, forward().detach()


@given(st.floats(0.05, 20))
def test_the_function_after_the_ascent_does_not_depend_on_the_scale_of_the_layers(scale):
    before, plain = ascended_function(ASAM, 1.0, rho=0.5, eta=0.0)
    _, scaled = ascended_function(ASAM, scale, rho=0.5, eta=0.0)
    assert torch.allclose(scaled, plain)
    assert not torch.allclose(before, plain)


def test_sam_does_depend_on_it():
    _, plain = ascended_function(SAM, 1.0, rho=0.5)
    _, scaled = ascended_function(SAM, 10.0, rho=0.5)
    assert not torch.allclose(scaled, plain, rtol=0.1)


def test_one_step_on_a_quadratic_in_closed_form():
    # L = a theta^2 / 2, theta > 0, eta 0: the gradient used is a theta (1 + rho), so theta' = theta (1 - lr a (1 + rho)).
    theta = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    optimizer = ASAM([theta], torch.optim.SGD, rho=0.5, eta=0.0, lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = 3 * theta**2 / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.allclose(theta.data, torch.tensor(2.0 * (1 - 0.1 * 3 * 1.5), dtype=torch.float64))


def test_eta_travels_with_the_state_and_reaches_added_groups():
    optimizer = ASAM([nn.Parameter(torch.ones(1))], torch.optim.SGD, eta=0.3, lr=0.1)
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    assert [g["eta"] for g in optimizer.param_groups] == [0.3, 0.3]
    other = ASAM([nn.Parameter(torch.ones(1))], torch.optim.SGD, eta=0.1, lr=0.1)
    other.add_param_group({"params": [nn.Parameter(torch.ones(1))], "eta": 0.2})
    other.load_state_dict(optimizer.state_dict())
    assert [g["eta"] for g in other.param_groups] == [0.3, 0.3]


def test_a_negative_eta_is_refused():
    with pytest.raises(InputError, match=r"eta is -1\.0; it must be at least 0"):
        ASAM([nn.Parameter(torch.ones(1))], torch.optim.SGD, eta=-1.0, lr=0.1)
