"""A linear map that stays orthogonal: after any optimizer's steps, at any rate, and when it is set."""

import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.nn import OrthogonalLinear


@pytest.fixture
def layer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return OrthogonalLinear(24)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.Adam(p, lr=0.1),
        lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9),
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.5),
    ],
)
def test_it_stays_orthogonal_whatever_the_optimizer_does(layer, optimizer):
    generator = torch.Generator().manual_seed(1)
    x, target = torch.randn(2, 64, 24, generator=generator)
    steps, before = optimizer(layer.parameters()), layer.weight.detach().clone()
    for _ in range(30):
        steps.zero_grad()
        (layer(x) - target).square().mean().backward()
        steps.step()
        assert layer.orthogonality_error() < 1e-5
    assert (layer.weight - before).abs().max() > 0.05


def test_lengths_and_angles_are_kept_and_the_transpose_undoes_it(layer):
    x = torch.randn(7, 24, generator=torch.Generator().manual_seed(2))
    y = layer(x)
    torch.testing.assert_close(y @ y.T, x @ x.T, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(y @ layer.weight, x, atol=1e-5, rtol=1e-5)


def test_it_learns_a_rotation_that_is_there(layer):
    generator = torch.Generator().manual_seed(3)
    wanted = torch.linalg.qr(torch.randn(24, 24, generator=generator)).Q
    wanted[0] *= torch.sign(torch.linalg.det(wanted) * torch.linalg.det(layer.weight.detach()))
    x = torch.randn(256, 24, generator=generator)
    adam = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(300):
        adam.zero_grad()
        loss = (layer(x) - x @ wanted.T).square().mean()
        loss.backward()
        adam.step()
    assert loss.item() < 0.05


def test_a_matrix_that_is_set(layer):
    wanted = torch.linalg.qr(torch.randn(24, 24, generator=torch.Generator().manual_seed(4))).Q
    layer.weight = wanted
    torch.testing.assert_close(layer.weight, wanted, atol=1e-5, rtol=1e-5)
    copied = OrthogonalLinear(24)
    copied.load_state_dict(layer.state_dict())
    torch.testing.assert_close(copied.weight, wanted, atol=1e-5, rtol=1e-5)


def test_the_error_is_the_largest_entry_of_what_is_off(layer):
    nn.utils.parametrize.remove_parametrizations(layer, "weight")
    with torch.no_grad():
        layer.weight.mul_(2)
    assert OrthogonalLinear.orthogonality_error(layer) == pytest.approx(3, abs=1e-4)


def test_input_that_does_not_fit():
    with pytest.raises(InputError, match="dim is 0; it must be at least 1"):
        OrthogonalLinear(0)
