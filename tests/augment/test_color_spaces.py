import colorsys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.augment import hsv_to_rgb, rgb_to_hsv
from farfield.errors import InputError


def colours(n=500, seed=0):
    x = torch.rand(n, 3, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # With corners, edges and greys of the cube among them.
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)] * 3)[:, :, None, None]
    return torch.cat([x, corners])


def test_both_ways_equal_the_standard_library():
    x = colours()
    hsv = torch.tensor([colorsys.rgb_to_hsv(*row) for row in x.flatten(1).tolist()], dtype=torch.float64)
    assert torch.allclose(rgb_to_hsv(x).flatten(1), hsv, atol=1e-12)
    rgb = torch.tensor([colorsys.hsv_to_rgb(*row) for row in x.flatten(1).tolist()], dtype=torch.float64)
    assert torch.allclose(hsv_to_rgb(x).flatten(1), rgb, atol=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_there_and_back_is_the_identity(seed):
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(hsv_to_rgb(rgb_to_hsv(x)), x, atol=1e-5)
    assert rgb_to_hsv(x).min() >= 0 and rgb_to_hsv(x)[:, 0].max() < 1


@pytest.mark.parametrize("turns", [-2.0, -1.0, 1.0, 3.0])
def test_the_hue_wraps(turns):
    x = colours()
    moved = x + torch.tensor([turns, 0.0, 0.0]).view(3, 1, 1)
    assert torch.allclose(hsv_to_rgb(moved), hsv_to_rgb(x), atol=1e-9)


def test_a_hue_just_below_red_does_not_round_up_to_a_whole_turn():
    x = torch.tensor([1.0, 0.0, 1e-9]).view(3, 1, 1)
    assert rgb_to_hsv(x)[0] < 1


def test_gradients_are_right_where_smooth_and_finite_where_not():
    x = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(rgb_to_hsv, (x,))
    assert torch.autograd.gradcheck(hsv_to_rgb, (x,))
    grey = torch.tensor([0.0, 0.5, 1.0]).expand(1, 3, 1, 3).clone().requires_grad_()
    rgb_to_hsv(grey).sum().backward()
    assert torch.isfinite(grey.grad).all()


@pytest.mark.parametrize("convert", [rgb_to_hsv, hsv_to_rgb])
@pytest.mark.parametrize("x", [torch.zeros(1, 1, 4, 4), torch.zeros(3), torch.zeros(3, 2, 2, dtype=torch.uint8)])
def test_other_shapes_and_types_are_refused(convert, x):
    with pytest.raises(InputError, match=r"expected \(..., 3, height, width\)"):
        convert(x)
