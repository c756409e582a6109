import math
import sys

import numpy as np
import pytest
import torch

from farfield.augment import RandomFieldAffine, affine_source
from farfield.errors import InputError
from farfield.measure import structure_loss, warp_distortion


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow(x, y, side, value_range=1.0):
    """The mean over all windows inside the image, one after the other."""
    at = np.arange(side) - side // 2
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    found = []
    for i in range(x.shape[0] - side + 1):
        for j in range(x.shape[1] - side + 1):
            p, q = x[i : i + side, j : j + side], y[i : i + side, j : j + side]
            a, b = (window * p).sum(), (window * q).sum()
            va, vb = (window * (p - a) ** 2).sum(), (window * (q - b) ** 2).sum()
            cov = (window * (p - a) * (q - b)).sum()
            found.append((2 * a * b + c1) * (2 * cov + c2) / ((a * a + b * b + c1) * (va + vb + c2)))
    return 1 - np.mean(found)


@pytest.mark.parametrize(("sides", "window"), [((16, 13), 11), ((11, 11), 11), ((8, 14), 7), ((1, 5), 1)])
def test_it_equals_a_slow_loop_over_windows(sides, window):
    x, y = images(2, 2, *sides), images(2, 2, *sides, seed=1)
    pairs = [(x[i, c].numpy(), y[i, c].numpy()) for i in range(2) for c in range(2)]
    assert structure_loss(x, y) == pytest.approx(np.mean([slow(p, q, window) for p, q in pairs]))
    assert structure_loss(255 * x, 255 * y, value_range=255) == pytest.approx(structure_loss(x, y))


def test_the_same_images_lose_nothing_and_mirrored_values_more_than_everything():
    x = images(3, 1, 20, 20)
    assert structure_loss(x, x) == 0
    assert 1 < structure_loss(x, 1 - x) <= 2


def test_stronger_warps_lose_more():
    x = torch.nn.functional.interpolate(images(8, 1, 6, 6), (28, 28), mode="bicubic").clamp(0, 1)
    lost = [structure_loss(x, RandomFieldAffine(rotation=s, translation=s / 3)(x)) for s in (0.0, 0.1, 0.3, 1.0)]
    assert lost[0] < 1e-6 and lost == sorted(lost)


def test_parts_add_up_and_numpy_is_welcome(monkeypatch):
    x, y = images(5, 1, 12, 12), images(5, 1, 12, 12, seed=1)
    whole = structure_loss(x, y)
    monkeypatch.setattr(sys.modules[structure_loss.__module__], "CHUNK", 300)
    assert structure_loss(x.numpy(), y.numpy()) == pytest.approx(whole)


def test_displacement_and_folds_of_known_warps():
    def constant(*values):
        return torch.tensor(values).view(1, -1, 1, 1)

    still = warp_distortion(affine_source((8, 12)))
    assert (still.displacement, still.folded) == (pytest.approx(0, abs=1e-6), 0)
    # Halves of the width on both axes: 0.5 of 6 pixels each.
    diagonal = warp_distortion(affine_source((8, 12), translation=constant(0.5, 0.5)))
    assert (diagonal.displacement, diagonal.folded) == (pytest.approx(3 * math.sqrt(2), rel=1e-5), 0)
    mirror = affine_source((8, 8)) * torch.tensor([-1.0, 1.0])
    assert warp_distortion(mirror).folded == 1
    # Every pixel from one place: nothing has an area.
    assert warp_distortion(torch.zeros(1, 8, 8, 2)).folded == 1
    turned = warp_distortion(affine_source((9, 9), rotation=constant(math.pi)))
    at = torch.cartesian_prod(torch.arange(-4.0, 5), torch.arange(-4.0, 5))
    assert (turned.displacement, turned.folded) == (pytest.approx(2 * float(at.norm(dim=1).mean()), rel=1e-5), 0)


def test_rough_fields_fold_more_than_smooth_ones():
    folds = [warp_distortion(RandomFieldAffine(translation=0.1, gamma=g).sources(20, 32, 32)).folded for g in (6, 4, 2)]
    assert folds == sorted(folds) and folds[0] < 0.05 < folds[2]


def test_shapes_that_do_not_fit_are_refused():
    x = images(2, 1, 8, 8)
    with pytest.raises(InputError, match="x has 2 rows but augmented has 1"):
        structure_loss(x, x[:1])
    with pytest.raises(InputError, match=r"expected \(n, c, h, w\) twice"):
        structure_loss(x[:, 0], x[:, 0])
    with pytest.raises(InputError, match="value_range is 0"):
        structure_loss(x, x, value_range=0)
    with pytest.raises(InputError, match="x holds a value that is not finite"):
        structure_loss(x * math.nan, x)
    with pytest.raises(InputError, match=r"expected \(n, height, width, 2\)"):
        warp_distortion(torch.zeros(8, 8, 2))
