import math

import pytest
import torch

from farfield.augment import RandomFieldTimeWarp
from farfield.errors import InputError


def ramp(n=1, samples=40, channels=1):
    return torch.linspace(0, 1, samples).view(1, -1, 1).expand(n, -1, channels).clone()


def test_without_strength_it_is_the_identity():
    x = torch.randn(3, 25, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(RandomFieldTimeWarp()(x), x)
    assert torch.allclose(RandomFieldTimeWarp(warp=1e-9)(x), x, atol=1e-5)


def test_a_ramp_shows_the_displacement():
    # A ramp continued at its ends: away from them its value is time, so the output less the input is the displacement.
    x = ramp(n=200, samples=200)
    moved = (RandomFieldTimeWarp(warp=0.02)(x) - x)[:, 30:-30] * 199 / 200
    assert float(moved.std()) == pytest.approx(0.02, rel=0.05)
    assert moved.diff(dim=1).abs().max() < 0.01 * 0.5  # smooth


def test_a_constant_field_is_a_shift_in_time():
    x = torch.randn(1, 30, 2, generator=torch.Generator().manual_seed(0))
    made = RandomFieldTimeWarp(warp=0.1, kernel="constant", seed=5)
    by = 0.1 * 30 * torch.randn(1, generator=torch.Generator().manual_seed(5)).item()
    out, at = made(x), torch.arange(30) + by
    low = at.floor().long()
    wanted = torch.lerp(x[0, low.clamp(0, 29)], x[0, (low + 1).clamp(0, 29)], (at - low)[:, None])
    assert torch.allclose(out[0], wanted, atol=1e-4)


def test_channels_share_time_and_gain_multiplies():
    x = ramp(n=4, channels=3) + 0.5
    out = RandomFieldTimeWarp(warp=0.05, gain=0.3)(x)
    assert torch.allclose(out[..., 0], out[..., 2])
    logs = (RandomFieldTimeWarp(gain=0.3)(x) / x).log()[..., 0]
    assert torch.allclose(logs.std(1, correction=0), torch.full((4,), 0.3), atol=1e-4)


def test_the_seed_decides_and_p_of_the_sequences_are_changed():
    x = ramp(n=1000)
    a, b = RandomFieldTimeWarp(warp=0.1, p=0.4, seed=1), RandomFieldTimeWarp(warp=0.1, p=0.4, seed=1)
    out = a(x)
    assert torch.equal(out, b(x)) and not torch.equal(out, a(x))
    assert abs(float((out != x).flatten(1).any(1).float().mean()) - 0.4) < 0.06


def test_gradients_flow_to_the_sequences():
    x = torch.randn(2, 8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: RandomFieldTimeWarp(warp=0.05, gain=0.1)(v), (x,))


@pytest.mark.parametrize("x", [torch.zeros(4, 5), torch.zeros(4, 1, 2), torch.zeros(4, 5, 2, dtype=torch.long)])
def test_other_shapes_and_types_are_refused(x):
    with pytest.raises(InputError, match=r"expected \(n, t, c\) floating-point numbers with t at least 2"):
        RandomFieldTimeWarp(warp=0.1)(x)


def test_strengths_out_of_range_are_refused():
    with pytest.raises(InputError, match="warp is nan"):
        RandomFieldTimeWarp(warp=math.nan)
