import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from farfield.errors import InputError
from farfield.tasks.shifts import LEVELS, SHIFTS, shift
from farfield.tasks.transforms import color

DIGITS = torch.from_numpy(load_digits().images[:300, None] / 16).float()
UNLABELLED = [s for s in SHIFTS.values() if not s.labelled]


@pytest.mark.parametrize("s", UNLABELLED, ids=lambda s: s.name)
def test_each_level_is_further_from_the_original(s):
    distances = [float((s.apply(DIGITS, level, seed=1) - DIGITS).abs().mean()) for level in range(LEVELS)]
    assert distances[0] == 0
    assert all(a + 0.002 < b for a, b in pairwise(distances))


@pytest.mark.parametrize("s", UNLABELLED, ids=lambda s: s.name)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 6, 11)], ids=str)
def test_every_size_keeps_its_shape_and_range(s, shape):
    images = torch.rand(5, *shape, generator=torch.Generator().manual_seed(0))
    for level in range(LEVELS):
        shifted = s.apply(images, level)
        assert shifted.shape == images.shape
        assert shifted.dtype == torch.float32
        assert shifted.min() >= 0 and shifted.max() <= 1


@pytest.mark.parametrize("s", UNLABELLED, ids=lambda s: s.name)
def test_the_seed_decides_and_nothing_else_is_touched(s):
    before, state = DIGITS.clone(), torch.get_rng_state()
    first = s.apply(DIGITS, 3, seed=5)
    torch.manual_seed(99)
    assert torch.equal(first, s.apply(DIGITS, 3, seed=5))
    torch.set_rng_state(state)
    s.apply(DIGITS, 3, seed=5)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(before, DIGITS)
    is_random = s.name in ("translation", "noise", "occlusion", "background")
    assert torch.equal(first, s.apply(DIGITS, 3, seed=6)) is not is_random


def test_noise_has_its_deviation_and_mean_zero():
    grey = torch.full((50, 1, 28, 28), 0.5)
    noise = shift("noise").apply(grey, level=2) - grey
    assert float(noise.std()) == pytest.approx(0.12, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.002)


def test_noise_is_the_same_field_at_every_level():
    grey = torch.full((10, 1, 8, 8), 0.5)
    weak, strong = (shift("noise").apply(grey, level) - grey for level in (1, 2))
    assert torch.allclose(2 * weak, strong, atol=1e-4)


def test_contrast_keeps_the_mean_and_scales_the_deviation():
    shifted = shift("contrast").apply(DIGITS, level=3)
    assert torch.allclose(shifted.mean((2, 3)), DIGITS.mean((2, 3)), atol=1e-5)
    assert torch.allclose(shifted.std((2, 3)), 0.4 * DIGITS.std((2, 3)), atol=1e-5)


def test_occlusion_grows_around_the_same_place():
    black = torch.zeros(20, 1, 28, 28)
    covered = [shift("occlusion").apply(black, level) for level in range(LEVELS)]
    assert all((b >= a - 1e-6).all() for a, b in pairwise(covered))


def test_background_is_the_difference_from_a_photograph():
    from sklearn.datasets import load_sample_images

    black, white = torch.zeros(20, 3, 30, 30), torch.ones(20, 3, 30, 30)
    patches = shift("background").apply(black, level=5)
    assert torch.allclose(shift("background").apply(white, level=5), 1 - patches, atol=1e-6)
    assert torch.allclose(shift("background").apply(black, level=2), 0.3 * patches, atol=1e-6)
    photographs = load_sample_images().images
    patch = (patches[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    corners = [np.argwhere((p[:-29, :-29] == patch[0, 0]).all(2)) for p in photographs]
    assert any((photographs[k][i : i + 30, j : j + 30] == patch).all() for k in (0, 1) for i, j in corners[k])


def test_background_gives_small_images_texture():
    patches = shift("background").apply(torch.zeros(200, 1, 8, 8), level=5)
    large = shift("background").apply(torch.zeros(200, 1, 28, 28), level=5)
    assert float(patches.std((2, 3)).mean()) > 0.5 * float(large.std((2, 3)).mean())


def test_color_has_the_published_correlations():
    n = 40_000
    labels = torch.arange(n) % 2
    images = torch.ones(n, 1, 1, 1)
    for level, flip in enumerate((0.1, 0.2, 0.3, 0.5, 0.7, 0.9)):
        colored, noisy = shift("color").apply_labelled(images, labels, level, seed=level)
        assert (colored.sum(1) == 1).all()
        assert float((noisy != labels).float().mean()) == pytest.approx(0.25, abs=0.01)
        contradicts = colored[:, :, 0, 0].argmax(1) != noisy
        assert float(contradicts.float().mean()) == pytest.approx(flip, abs=0.01)
        # The two flips are independent.
        assert float((contradicts & (noisy != labels)).float().mean()) == pytest.approx(0.25 * flip, abs=0.01)


def test_color_keeps_the_labels_and_changes_more_colours_with_the_level():
    labels = (torch.arange(300) % 2).long()
    levels = [shift("color").apply_labelled(DIGITS, labels, level, seed=3) for level in range(LEVELS)]
    assert all(torch.equal(levels[0][1], y) for _, y in levels)
    agrees = [(x.sum((2, 3)).argmax(1) == y) for x, y in levels]
    assert all((b <= a).all() for a, b in pairwise(agrees))
    assert torch.equal(levels[0][0].sum(1), DIGITS[:, 0])


def test_other_shifts_leave_labels_alone():
    labels = torch.arange(300)
    images, kept = shift("noise").apply_labelled(DIGITS, labels, 2, seed=1)
    assert torch.equal(images, shift("noise").apply(DIGITS, 2, seed=1))
    assert torch.equal(kept, labels)


@settings(max_examples=30)
@given(st.sampled_from(sorted(SHIFTS)), st.integers(0, 5))
def test_labels_name_shift_and_strength_apart(name, level):
    s = shift(name)
    assert s.label(level).startswith(f"{name} ")
    assert len({s.label(i) for i in range(LEVELS)}) == LEVELS


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: shift("blurr"), "unknown shift 'blurr'; nearest: blur"),
        (
            lambda: shift("blur").apply(DIGITS[0], 1),
            r"images must be a float32 tensor .* \(1, 8, 8\) torch.float32 came",
        ),
        (lambda: shift("blur").apply((DIGITS * 255).to(torch.uint8), 1), "torch.uint8 came"),
        (lambda: shift("blur").apply(DIGITS[:0], 1), "not empty"),
        (lambda: shift("blur").apply(DIGITS.numpy(), 1), "ndarray came"),
        (lambda: shift("blur").apply(DIGITS * 16, 1), r"must lie in \[0, 1\]; these lie in \[0, 16\]"),
        (lambda: shift("blur").apply(DIGITS * math.nan, 1), r"must lie in \[0, 1\]"),
        (lambda: shift("blur").apply(DIGITS, 6), "the level is 6; it must be one of"),
        (lambda: shift("blur").label(-1), "the level is -1"),
        (lambda: shift("color").apply(DIGITS, 1), "changes labels too"),
        (lambda: shift("color").apply_labelled(DIGITS, torch.full((300,), 2), 1), "300 zeros and ones"),
        (lambda: shift("color").apply_labelled(DIGITS, torch.zeros(3).long(), 1), "300 zeros and ones"),
        (lambda: color(torch.zeros(1, 3, 8, 8), torch.zeros(1).long(), 0.1, torch.Generator()), "these have 3"),
        (lambda: shift("background").apply(torch.zeros(1, 2, 8, 8), 1), "one or three channels; these have 2"),
        (lambda: shift("background").apply(torch.zeros(1, 1, 500, 500), 1), "these are 500x500"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()
