import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.optim import SAM

THETA, GRADIENT = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64)


def ascent(theta, gradient, rho=0.05):
    p = nn.Parameter(theta.clone())
    p.grad = gradient.clone()
    SAM([p], torch.optim.SGD, rho=rho, lr=0.1).first_step()
    return p.data - theta


def test_the_ascent_by_hand():
    assert torch.allclose(ascent(THETA, GRADIENT), torch.tensor([0.03, 0.04], dtype=torch.float64))


@given(st.floats(1e-3, 1e3), st.floats(0.01, 10))
def test_the_ascent_has_length_rho_along_the_gradient_whatever_its_size(scale, rho):
    epsilon = ascent(THETA, scale * GRADIENT, rho)
    assert torch.allclose(epsilon.norm(), torch.tensor(rho, dtype=torch.float64))
    assert torch.allclose(torch.cosine_similarity(epsilon, GRADIENT, 0), torch.ones((), dtype=torch.float64))


def test_the_norm_runs_over_all_groups():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([3.0]), torch.tensor([4.0])
    SAM([{"params": [a]}, {"params": [b], "rho": 1.0}], torch.optim.SGD, rho=0.5, lr=0.1).first_step()
    assert torch.allclose(a.data, torch.tensor([0.5 * 3 / 5]))
    assert torch.allclose(b.data, torch.tensor([1.0 * 4 / 5]))


def test_one_step_on_a_quadratic_in_closed_form():
    # L = a theta^2 / 2 in one dimension: the gradient used is a (theta + rho), so theta' = theta - lr a (theta + rho).
    theta = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    optimizer = SAM([theta], torch.optim.SGD, rho=0.5, lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = 3 * theta**2 / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.allclose(theta.data, torch.tensor(2.0 - 0.1 * 3 * 2.5, dtype=torch.float64))
