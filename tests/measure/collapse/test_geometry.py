import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import Spread, equinorm, etf_error, interference, uniformity
from farfield.measure.collapse import Equinorm

ORACLE = np.load(Path(__file__).parents[1] / "data" / "linguistic-collapse.npz", allow_pickle=False)
MEANS, MIDDLE = ORACLE["means"], ORACLE["global_mean"]
UPPER = np.triu_indices(6, 1)


def simplex(k):
    return np.eye(k) - 1 / k


def draw(k, d, seed=0):
    return np.random.default_rng(seed).normal(size=(k, d))


def etf_by_definition(m):
    k, gram = len(m), m @ m.T
    return np.linalg.norm(gram / np.linalg.norm(gram) - (np.eye(k) - 1 / k) / (k - 1) ** 0.5)


def test_they_equal_the_official_code():
    assert equinorm(MEANS, MIDDLE).norms.mean == pytest.approx(ORACLE["norms"].mean(), rel=1e-10)
    assert equinorm(MEANS, MIDDLE).logs.var == pytest.approx(np.log(ORACLE["norms"]).var(), rel=1e-10)
    assert etf_error(MEANS, MIDDLE) == pytest.approx(float(ORACLE["etf_error"]), rel=1e-10)
    found = interference(MEANS, MIDDLE, normalize=False)
    assert found.mean == pytest.approx(ORACLE["interference"][UPPER].mean(), rel=1e-10)
    assert found.var == pytest.approx(ORACLE["interference"][UPPER].var(), rel=1e-10)
    # The reference keeps grids of kernels in float32.
    for kernel in ("log", "dist", "riesz"):
        found, grid = uniformity(MEANS, MIDDLE, kernel), ORACLE[f"{kernel}_kernel"][UPPER].astype(float)
        assert (found.mean, found.var) == pytest.approx((grid.mean(), grid.var()), rel=1e-5)


@pytest.mark.parametrize("k", [2, 3, 4, 10])
def test_a_simplex_in_closed_form(k):
    m = simplex(k)
    assert etf_error(m) == pytest.approx(0, abs=1e-12)
    assert equinorm(m).norms.cv == pytest.approx(0, abs=1e-12)
    cosines, log, distance = interference(m), uniformity(m), uniformity(m, kernel="dist")
    assert cosines.mean == pytest.approx(-1 / (k - 1)) and cosines.var == pytest.approx(0, abs=1e-20)
    assert log.mean == pytest.approx(-math.log(math.sqrt(2 * k / (k - 1)))) and log.var == pytest.approx(0, abs=1e-20)
    assert distance.mean == pytest.approx(math.sqrt(2 * k / (k - 1)))


def test_the_sheets_numbers_of_four_classes():
    gram = simplex(4) @ simplex(4).T
    assert (gram[0, 0], gram[0, 1]) == pytest.approx((0.75, -0.25))
    assert interference(simplex(4), normalize=False).mean == pytest.approx(-0.25)
    assert uniformity(simplex(4)).mean == pytest.approx(-0.490415, abs=1e-6)
    assert uniformity(simplex(4), kernel="dist").mean == pytest.approx(1.632993, abs=1e-6)
    assert etf_error(np.eye(4)) == pytest.approx(0.517638, abs=1e-6)
    assert etf_error(np.eye(4), np.full(4, 0.25)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("k, d", [(5, 8), (8, 8), (9, 8), (10, 8), (40, 8)])
def test_sums_over_dimensions_equal_sums_over_pairs(k, d):
    m = draw(k, d)
    assert etf_error(m) == pytest.approx(etf_by_definition(m), rel=1e-9)
    u, upper = m / np.linalg.norm(m, axis=1, keepdims=True), np.triu_indices(k, 1)
    for normalize, rows in {True: u, False: m}.items():
        found, grid = interference(m, normalize=normalize), (rows @ rows.T)[upper]
        assert (found.mean, found.var) == pytest.approx((grid.mean(), grid.var()), rel=1e-9)


def test_more_classes_than_dimensions_reach_the_bound_and_no_less():
    # The best that rank d can do: a tight frame, here the corners of a cube and their products.
    k, d = 8, 3
    cube = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], dtype=float)
    assert etf_error(cube) == pytest.approx(math.sqrt(2 - 2 * math.sqrt(d / (k - 1))))
    assert etf_error(draw(k, d)) > etf_error(cube)


@given(st.integers(0, 30), st.floats(0.01, 100), st.sampled_from([4, 12]))
def test_rotation_scale_and_shift_change_nothing(seed, scale, k):
    m = draw(k, 5, seed)
    middle = m.mean(0)
    turned = scale * m @ np.linalg.qr(draw(5, 5, seed + 1))[0] + 2
    for value in (
        etf_error,
        lambda x, g: uniformity(x, g).cv,
        lambda x, g: equinorm(x, g).norms.cv,
        lambda x, g: interference(x, g).mean,
    ):
        assert value(turned, turned.mean(0)) == pytest.approx(value(m, middle), rel=1e-6)


@pytest.mark.parametrize("kernel", ["log", "dist", "riesz"])
@pytest.mark.parametrize("tile", [1, 4, 100])
def test_kernels_equal_a_loop_over_pairs_in_any_tiles(kernel, tile):
    m = draw(11, 5)
    u = m / np.linalg.norm(m, axis=1, keepdims=True)
    distances = np.array([np.linalg.norm(u[a] - u[b]) for a in range(11) for b in range(a)])
    expected = {"log": -np.log(distances), "dist": distances, "riesz": distances**-3.0}[kernel]
    found = uniformity(m, None, kernel, tile)
    assert (found.mean, found.var) == pytest.approx((expected.mean(), expected.var()), rel=1e-9)
    assert found.cv == pytest.approx(expected.std() / abs(expected.mean()), rel=1e-9)


def test_even_spread_varies_less_than_clusters():
    angles = 2 * np.pi * np.arange(12) / 12
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    clusters = np.repeat([[1.0, 0.0], [-1.0, 0.0]], 6, 0) + 0.1 * draw(12, 2)
    assert uniformity(ring).var < uniformity(clusters).var


def test_riesz_in_one_dimension_is_minus_the_distance():
    # s = d - 2 = -1.
    found = uniformity(np.array([[1.0], [-2.0], [3.0]]), kernel="riesz")
    assert found.mean == pytest.approx(-4 / 3)


def test_documented_limits():
    twice = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert uniformity(twice).mean == uniformity(twice).var == uniformity(twice).cv == math.inf
    assert uniformity(twice, kernel="dist").mean < 2
    # A mean at the global mean counts as the origin: distance 1 to all directions.
    line = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert uniformity(line, kernel="dist").mean == pytest.approx((1 + 1 + 2) / 3)
    assert equinorm(line).logs.mean == -math.inf and equinorm(line).norms.mean == pytest.approx(2 / 3)
    assert equinorm(line).logs.var == math.inf
    # In many dimensions a Riesz kernel leaves float64, and says inf.
    assert uniformity(np.concatenate([np.eye(3, 2000), np.eye(3, 2000) + 1e-3]), kernel="riesz").mean == math.inf
    # Orthogonal pairs: products are 0 throughout, and all lengths the same.
    assert interference(np.eye(3)) == Spread(0.0, 0.0, 0.0)
    assert equinorm(np.eye(3)) == Equinorm(Spread(1.0, 0.0, 0.0), Spread(0.0, 0.0, 0.0))


def test_tensors_are_read_as_arrays_are():
    m = draw(6, 3)
    assert etf_error(torch.tensor(m, dtype=torch.float32)) == pytest.approx(etf_error(m), rel=1e-5)
    assert uniformity(torch.tensor(m)).cv == uniformity(m).cv


def test_bad_arguments_are_refused():
    m = draw(6, 3)
    for measure in (equinorm, etf_error, interference, uniformity):
        with pytest.raises(InputError, match=r"means has shape \(1, 3\); expected \(n, d\) with n at least 2"):
            measure(m[:1])
        with pytest.raises(InputError, match="global_mean has 2 dimensions but means has 3"):
            measure(m, np.zeros(2))
        with pytest.raises(InputError, match="global_mean holds a value that is not finite"):
            measure(m, np.array([0, 0, np.nan]))
    with pytest.raises(InputError, match="all class means are the global mean"):
        etf_error(np.ones((3, 2)), np.ones(2))
    with pytest.raises(InputError, match="kernel is 'rbf'"):
        uniformity(m, None, "rbf")
    with pytest.raises(InputError, match="constant in 2 dimensions"):
        uniformity(m[:, :2], None, "riesz")
