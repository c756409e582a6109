"""Two-dimensional entropy: the released code's numbers, a count by hand, and bounds."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import image_entropy, image_entropy_2d

OFFICIAL = np.load(Path(__file__).parent / "data" / "bayesian-generalization.npz")


def counted(image, levels, total):
    """Return the entropy of one channel by counting pairs one by one, in the given steps of grey."""
    padded = np.pad(image, 1)
    pairs = Counter()
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            around = (padded[i : i + 3, j : j + 3].astype(float).sum() - image[i, j]) / 8
            pairs[round(image[i, j] * (levels - 1)), round(around * (levels - 1), 3) // 1] += 1
    p = np.array(list(pairs.values())) / total
    return -(p * np.log2(p)).sum()


def test_the_released_codes_numbers():
    found = image_entropy_2d(OFFICIAL["img_gray"][None])
    assert found[0] == pytest.approx(float(OFFICIAL["img_entropy2d"]), abs=1e-5)
    constant = np.full((1, *OFFICIAL["img_const_shape"]), 0.3, dtype=np.float32)
    assert image_entropy_2d(constant)[0] == pytest.approx(float(OFFICIAL["img_const_entropy2d"]), abs=1e-5)


def test_a_constant_image_by_hand():
    p = np.array([100, 40, 4]) / 196
    assert image_entropy_2d(np.full((1, 12, 12), 0.3))[0] == pytest.approx(-(p * np.log2(p)).sum(), abs=1e-9)
    exact = np.array([100, 40, 4]) / 144
    found = image_entropy_2d(torch.full((1, 1, 12, 12), 0.3), normalisation="exact")
    assert float(found) == pytest.approx(-(exact * np.log2(exact)).sum(), abs=1e-9)
    large = image_entropy_2d(np.full((1, 400, 400), 0.3))[0]
    assert 0 < large < 0.15


def test_few_levels_against_counting():
    rng = np.random.default_rng(0)
    # Values and means are whole steps: 9 levels, pixels on or off.
    images = (rng.random((3, 9, 11)) > 0.5).astype(float)
    by_hand = [counted(image, 9, 9 * 11) for image in images]
    assert image_entropy_2d(images, 9, normalisation="exact") == pytest.approx(by_hand, abs=1e-9)
    padded = [counted(image, 9, 11 * 13) for image in images]
    assert image_entropy_2d(images, 9) == pytest.approx(padded, abs=1e-9)


def test_the_mean_of_channels_and_of_each_image_alone(monkeypatch):
    images = np.random.default_rng(1).random((4, 3, 8, 8))
    found = image_entropy_2d(images, 17)
    channels = np.stack([image_entropy_2d(images[:, c], 17) for c in range(3)], 1)
    assert found == pytest.approx(channels.mean(1))
    monkeypatch.setattr(image_entropy, "AT_ONCE", 1)
    assert image_entropy_2d(images, 17) == pytest.approx(found)


def test_bounds_and_order():
    rng = np.random.default_rng(2)
    noise = rng.random((1, 28, 28))
    found = image_entropy_2d(noise, normalisation="exact")[0]
    assert found == pytest.approx(np.log2(28 * 28), abs=1e-6)
    plain = np.zeros((1, 28, 28))
    plain[:, 8:20, 8:20] = 1
    values = [image_entropy_2d(x, 17, normalisation="exact")[0] for x in (0 * plain, plain, noise)]
    assert values[0] == 0 and values[0] < values[1] < values[2] < found


def test_stretch_and_size():
    x = np.random.default_rng(3).random((2, 10, 10))
    assert image_entropy_2d(5 * x - 2, 17, stretch=True) == pytest.approx(
        image_entropy_2d(x, 17, stretch=True), abs=0.05
    )
    assert image_entropy_2d(np.full((1, 12, 12), 0.3), stretch=True)[0] == pytest.approx(1.0778, abs=1e-4)
    bigger = image_entropy_2d(np.full((1, 3, 5), 0.3), size=12)
    assert bigger[0] == pytest.approx(1.0778, abs=1e-4)


def test_bad_input():
    with pytest.raises(InputError, match=r"images has shape \(4, 4\)"):
        image_entropy_2d(np.ones((4, 4)))
    with pytest.raises(InputError, match="levels is 1"):
        image_entropy_2d(np.ones((1, 4, 4)), 1)
    with pytest.raises(InputError, match=r"values from 0 to 255; with levels they must lie in \[0, 1\]"):
        image_entropy_2d(np.array([[[0.0, 255.0]]]), 17)
    with pytest.raises(InputError, match="unknown normalisation 'padd'; nearest: padded"):
        image_entropy_2d(np.ones((1, 4, 4)), normalisation="padd")
