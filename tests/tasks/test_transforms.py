import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.tasks.shifts import SHIFTS
from farfield.tasks.transforms import blur, occlude, rescale, rotate, translate


def disk(size: int, sigma: float = 0.08) -> torch.Tensor:
    """A smooth spot right of and above the centre, so that directions can be told apart: (1, 1, size, size)."""
    at = (torch.arange(size) + 0.5) / size
    return torch.exp(-((at[None, :] - 0.65) ** 2 + (at[:, None] - 0.4) ** 2) / (2 * sigma**2))[None, None]


def centre(image: torch.Tensor) -> tuple[float, float]:
    """Centre of mass of one image, right and down, in fractions of its width."""
    height, width = image.shape[-2:]
    x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / width
    mass = image[0, 0] / image[0, 0].sum()
    return float((mass.sum(0) * x).sum()), float((mass.sum(1) * y).sum())


def test_rotation_by_right_angles_is_exact_and_counter_clockwise():
    images = torch.rand(3, 2, 9, 9, generator=torch.Generator().manual_seed(0))
    for quarter in (1, 2, 3):
        assert torch.allclose(rotate(images, 90 * quarter), torch.rot90(images, quarter, (2, 3)), atol=1e-5)


def test_rotations_add_up():
    image = disk(128)
    assert torch.allclose(rotate(rotate(image, 30), 15), rotate(image, 45), atol=0.01)


def test_rotation_turns_by_the_angle_on_any_aspect():
    image = torch.nn.functional.pad(disk(32), (8, 8))  # 32 x 48
    (x0, y0), (x1, y1) = centre(image), centre(rotate(image, 40))
    before, after = (math.degrees(math.atan2(-(y - 32 / 96), x - 0.5)) for x, y in ((x0, y0), (x1, y1)))
    assert after - before == pytest.approx(40, abs=1)


def test_rotation_agrees_with_pillow():
    from PIL import Image

    image = disk(28)
    expected = Image.fromarray(image[0, 0].numpy(), mode=None).rotate(30, resample=Image.Resampling.BILINEAR)
    assert np.abs(rotate(image, 30)[0, 0].numpy() - np.asarray(expected)).max() < 1e-3


@pytest.mark.parametrize("size", [8, 28])
def test_translation_by_whole_pixels_moves_pixels(size):
    images = torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    moved = translate(images, torch.tensor([2 / size]), torch.tensor([-1 / size]))
    assert torch.allclose(moved[..., :-1, 2:], images[..., 1:, :-2], atol=1e-5)
    assert torch.allclose(moved[..., -1, :], torch.zeros(size), atol=1e-5)


@given(factor=st.floats(0.5, 1.0))
def test_scale_multiplies_the_distance_from_the_centre(factor):
    (x0, y0), (x1, y1) = centre(disk(64)), centre(rescale(disk(64), factor))
    assert x1 - 0.5 == pytest.approx(factor * (x0 - 0.5), abs=0.01)
    assert y1 - 0.5 == pytest.approx(factor * (y0 - 0.5), abs=0.01)


@given(sigma=st.floats(0.02, 0.12))
def test_blur_adds_its_variance_and_keeps_the_mass(sigma):
    point = torch.zeros(1, 1, 65, 65)
    point[..., 32, 32] = 1
    blurred = blur(point, sigma)[0, 0]
    assert float(blurred.sum()) == pytest.approx(1, abs=0.01)
    at = torch.arange(65.0) - 32
    # A pixel of width 1 has variance 1/12 of its own.
    assert float((blurred.sum(0) * at**2).sum()) == pytest.approx((65 * sigma) ** 2 + 1 / 12, rel=0.03)


@given(side=st.floats(0.05, 0.95), across=st.floats(0, 1), down=st.floats(0, 1))
def test_occlusion_covers_its_area_and_leaves_the_rest(side, across, down):
    black = torch.zeros(1, 1, 10, 10)
    covered = occlude(black, side, torch.tensor([across]), torch.tensor([down])) / 0.5
    assert float(covered.sum()) == pytest.approx((10 * side) ** 2, rel=1e-3)
    assert float(covered.max()) <= 1 + 1e-6


def test_translation_has_its_distance_in_every_direction():
    images = disk(64, 0.03).expand(40, 1, 64, 64)
    start, directions = centre(images[:1]), []
    for image in SHIFTS["translation"].apply(images, level=2):
        x, y = (b - a for a, b in zip(start, centre(image[None])))
        assert math.hypot(x, y) == pytest.approx(0.1, abs=0.005)
        directions.append(math.atan2(y, x))
    assert np.histogram(directions, bins=4, range=(-math.pi, math.pi))[0].min() > 2
