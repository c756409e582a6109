import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import ClassStatistics, cdnv, nc1

ORACLE = np.load(Path(__file__).parents[1] / "data" / "linguistic-collapse.npz", allow_pickle=False)
SIMPLEX = np.eye(4) - 1 / 4


def draw(k=12, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.gamma(2, size=k), rng.normal(size=(k, d))


def by_loop(var, means, exponent=1):
    pairs = combinations(range(len(means)), 2)
    return [(var[a] + var[b]) / (2 * np.linalg.norm(means[a] - means[b]) ** (2 * exponent)) for a, b in pairs]


def rotation(d, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def test_cdnv_of_a_simplex_in_closed_form():
    # Distances are sqrt(2): 2 * .5 / (2 * 2) and 2 * .5 / (2 * 4).
    assert cdnv(np.full(4, 0.5), SIMPLEX) == pytest.approx(0.25)
    assert cdnv(np.full(4, 0.5), SIMPLEX, 2) == pytest.approx(0.125)


def test_it_equals_the_official_code():
    # Its grid is kept in float32.
    assert cdnv(ORACLE["var_norms"], ORACLE["means"]) == pytest.approx(float(ORACLE["cdnv_exp1"]), rel=1e-6)
    assert cdnv(ORACLE["var_norms"], ORACLE["means"], 2) == pytest.approx(float(ORACLE["cdnv_exp2"]), rel=1e-6)
    for kind, name in {"pinv": "nc1_pinv", "svd": "nc1_svd", "trace": "nc1_quotient"}.items():
        found = nc1(ORACLE["cov_within"], ORACLE["means"], ORACLE["global_mean"], kind)
        assert found == pytest.approx(float(ORACLE[name]), rel=1e-10)


@pytest.mark.parametrize("tile", [1, 5, 12, 1000])
@pytest.mark.parametrize("exponent", [0.5, 1, 2])
def test_cdnv_equals_a_loop_over_pairs_in_any_tiles(tile, exponent):
    var, means = draw()
    expected = by_loop(var, means, exponent)
    assert cdnv(var, means, exponent, tile) == pytest.approx(np.mean(expected), rel=1e-10)
    assert cdnv(var, means, exponent, tile, average="median") == pytest.approx(np.median(expected), rel=1e-3)


@given(st.integers(0, 50), st.floats(0.01, 100))
def test_cdnv_only_scales_away_with_exponent_1(seed, scale):
    var, means = draw(seed=seed)
    turned = scale * means @ rotation(5, seed) + 3
    assert cdnv(scale**2 * var, turned) == pytest.approx(cdnv(var, means), rel=1e-6)
    assert cdnv(scale**2 * var, turned, 2) == pytest.approx(cdnv(var, means, 2) / scale**2, rel=1e-6)


def test_near_means_far_from_the_others_lose_no_digits():
    # The inner products of 1e8 know nothing of a distance of 1e-4.
    means = np.array([[1e8, 0.0], [1e8, 1e-4], [-1e8, 0.0]])
    assert cdnv(np.ones(3), means) == pytest.approx(np.mean(by_loop(np.ones(3), means)), rel=1e-9)


def test_coinciding_means_are_infinite_and_the_median_need_not_be():
    var, means = draw()
    means[3] = means[7]
    assert cdnv(var, means) == math.inf and cdnv(0 * var, means) == math.inf
    assert cdnv(var, means, average="median") < math.inf
    assert cdnv(var, np.ones((12, 5)), average="median") == math.inf
    assert cdnv(np.zeros(4), SIMPLEX) == 0 == cdnv(np.zeros(4), SIMPLEX, average="median")


def test_within_over_between_is_invariant_and_scales_as_a_ratio():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 6
    x = rng.normal(size=(6, 10))[y] + 0.3 * rng.normal(size=(200, 10))
    stats = ClassStatistics(6, 10, covariance=True)
    stats.update(x, y)
    found = stats.finish()
    for kind in ("pinv", "svd", "trace"):
        value = nc1(found.within, found.means, found.global_mean, kind)
        q = rotation(10)
        turned = nc1(9 * q.T @ found.within @ q, 3 * found.means @ q, 3 * found.global_mean @ q, kind)
        assert turned == pytest.approx(value, rel=1e-9)
        assert nc1(4 * found.within, found.means, found.global_mean, kind) == pytest.approx(4 * value)
        assert nc1(0 * found.within, found.means, found.global_mean, kind) == 0
    # K <= d: both inverses are one.
    pinv, svd = (nc1(found.within, found.means, found.global_mean, k) for k in ("pinv", "svd"))
    between = (found.means - found.global_mean).T @ (found.means - found.global_mean) / 6
    assert (
        pinv == pytest.approx(svd) == pytest.approx(np.trace(found.within @ np.linalg.pinv(between, rcond=1e-10)) / 6)
    )
    trace = nc1(found.within, found.means, found.global_mean, "trace")
    assert nc1(found.within_trace, found.means, found.global_mean, "trace") == pytest.approx(trace)


def test_means_on_a_line_leave_pinv_one_direction_and_svd_none():
    means = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert nc1(np.eye(2), means, np.zeros(2), "pinv") == pytest.approx(1 / (2 / 3) / 3)
    assert nc1(np.eye(2), means, np.zeros(2), "svd") == math.inf


def test_tensors_are_read_as_arrays_are():
    var, means = draw()
    assert cdnv(torch.tensor(var), torch.tensor(means)) == cdnv(var, means)
    assert type(cdnv(var.astype("float32"), means)) is float


def test_bad_arguments_are_refused():
    var, means = draw()
    with pytest.raises(InputError, match="var has 11 rows but means has 12"):
        cdnv(var[1:], means)
    with pytest.raises(InputError, match="var holds -1; a variance is at least 0"):
        cdnv(-np.ones(12), means)
    with pytest.raises(InputError, match="n at least 2"):
        cdnv(var[:1], means[:1])
    with pytest.raises(InputError, match="means holds a value that is not finite, first in row 0"):
        cdnv(var, np.where(np.arange(5) == 1, np.nan, means))
    for exponent in (0, -1, math.inf):
        with pytest.raises(InputError, match="exponent is"):
            cdnv(var, means, exponent)
    with pytest.raises(InputError, match="tile is 0"):
        cdnv(var, means, tile=0)
    with pytest.raises(InputError, match="average is 'mode'"):
        cdnv(var, means, average="mode")
    with pytest.raises(InputError, match="all class means are the same"):
        nc1(np.eye(5), np.ones((3, 5)), np.ones(5))
    with pytest.raises(InputError, match="kind is 'inv'"):
        nc1(np.eye(5), means, means.mean(0), "inv")
    with pytest.raises(InputError, match=r"within has shape \(4, 4\); expected \(5, 5\)"):
        nc1(np.eye(4), means, means.mean(0))
    with pytest.raises(InputError, match="within is a number"):
        nc1(1.0, means, means.mean(0), "pinv")
    with pytest.raises(InputError, match="global_mean has 4 dimensions but means has 5"):
        nc1(np.eye(5), means, np.zeros(4))
