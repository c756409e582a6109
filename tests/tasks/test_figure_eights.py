import numpy as np
import pytest

from farfield.errors import InputError
from farfield.measure import rdm
from farfield.tasks import figure_eights

EIGHTS = ("flat_8", "twist_8", "untouched_flat_8", "untouched_twist_8")
RINGS = ("flat_ring", "twist_ring", "two_rings", "mixed_rings", "locked_rings")


def test_the_formulas():
    t = 2 * np.pi * np.arange(50) / 50
    x, y, zero = np.cos(t), np.sin(2 * t), np.zeros(50)
    expected = {
        "flat_8": (x, y, zero),
        "twist_8": (x / 2, y / 2, np.cos(2 * t)),
        "untouched_flat_8": (x, y, np.sin(t) / 3),
        "untouched_twist_8": (x / 2, y / 2, np.cos(2 * t) * (np.sin(t) / 3 + 1)),
    }
    found = figure_eights()
    assert tuple(found) == EIGHTS
    for name, coordinates in expected.items():
        assert found[name].shape == (50, 3) and found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], np.stack(coordinates, 1), atol=1e-15)
    t = 2 * np.pi * np.arange(20) / 20
    rings = figure_eights(40, shapes=RINGS)
    np.testing.assert_allclose(rings["two_rings"][:20], np.stack([np.cos(t), np.sin(t), 0 * t], 1), atol=1e-15)
    np.testing.assert_allclose(rings["two_rings"][20:], np.stack([np.cos(t) / 2, np.sin(t) / 2, 0 * t], 1), atol=1e-15)
    np.testing.assert_allclose(rings["locked_rings"][:20], np.stack([np.sin(t), 1 + np.cos(t), 0 * t], 1), atol=1e-15)
    np.testing.assert_allclose(rings["mixed_rings"][20:], np.stack([0 * t, np.sin(t), np.cos(t)], 1), atol=1e-15)
    np.testing.assert_allclose(rings["twist_ring"][:, 2], np.sin(4 * np.pi * np.arange(40) / 40), atol=1e-15)


def test_eights_cross_themselves_and_loops_do_not():
    found = figure_eights(400)
    quarter, three = 100, 300  # where the base curve crosses: t = pi / 2 and 3 pi / 2
    for name in ("flat_8", "twist_8"):
        assert np.linalg.norm(found[name][quarter] - found[name][three]) < 1e-12
    for name in ("untouched_flat_8", "untouched_twist_8"):
        points = found[name]
        square = np.full((400, 400), np.inf)
        i, j = np.triu_indices(400, 1)
        # Only points far from each other along the curve can touch.
        apart = np.minimum(j - i, 400 - (j - i)) > 40
        square[i[apart], j[apart]] = rdm(points)[apart]
        assert square.min() > 0.3


def test_how_many_rings_there_are():
    found = figure_eights(200, shapes=RINGS)
    for name, points in found.items():
        step = np.linalg.norm(np.roll(points, -1, 0) - points, axis=1)
        one = name in ("flat_ring", "twist_ring")
        # A jump from one ring to the other, and one back to the first.
        assert (step > 0.2).sum() == (0 if one else 2)
    flat = np.linalg.norm(found["flat_ring"], axis=1)
    assert np.allclose(flat, 1) and np.allclose(found["flat_ring"][:, 2], 0)
    # Locked: the second circle goes through the disc of the first in one point, its bottom lies outside of it.
    second = found["locked_rings"][100:]
    crossings = np.nonzero(np.diff(np.sign(second[:, 2] + 1e-9)))[0]
    inside = [np.hypot(second[c, 0], second[c, 1] - 1) < 1 for c in crossings]
    assert sorted(inside) == [False, True]


def test_an_odd_number_of_points_and_the_order_of_names():
    assert all(len(points) == 7 for points in figure_eights(7, shapes=("two_rings", "flat_8")).values())
    assert list(figure_eights(8, shapes=("two_rings", "flat_8"))) == ["two_rings", "flat_8"]


def test_noise_comes_from_the_seed_and_the_shape_alone():
    clean, noisy = figure_eights(500), figure_eights(500, 0.1, seed=3)
    for name in EIGHTS:
        assert np.std(noisy[name] - clean[name]) == pytest.approx(0.1, rel=0.1)
    alone = figure_eights(500, 0.1, shapes=("twist_8",), seed=3)
    assert np.array_equal(alone["twist_8"], noisy["twist_8"])
    assert not np.allclose(noisy["twist_8"] - clean["twist_8"], noisy["flat_8"] - clean["flat_8"])
    assert not np.array_equal(figure_eights(500, 0.1, seed=4)["flat_8"], noisy["flat_8"])


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="n is 3; a shape needs at least 4 points"):
        figure_eights(3)
    for noise in (-0.1, float("nan")):
        with pytest.raises(InputError, match=f"noise is {noise}"):
            figure_eights(noise=noise)
    with pytest.raises(InputError, match="unknown shape 'flat-8'; nearest: flat_8"):
        figure_eights(shapes=("flat-8",))
