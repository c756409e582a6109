from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from farfield.errors import InputError
from farfield.measure import geotopological, rank_minmax, rdm

OFFICIAL = np.load(Path(__file__).parent / "data" / "trsa.npz", allow_pickle=False)
SIX = np.arange(1.0, 7.0)
# Few distinct values, so that ties are common, as well as any.
VALUES = arrays(np.float64, 15, elements=st.one_of(st.integers(0, 4), st.floats(0, 10, allow_subnormal=False)))
WINDOWS = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


def draw(pairs, seed=0):
    return np.abs(np.random.default_rng(seed).normal(size=pairs))


def by_definition(d, l, u):  # noqa: E741
    """The transform of one RDM, element by element, with numpy's quantiles."""
    r = (rankdata(d) - rankdata(d).min()) / max(np.ptp(rankdata(d)), 1e-300)
    a, b = np.quantile(r, l), np.quantile(r, u)
    return [float(v > a) if b <= a else 0.0 if v < a else 1.0 if v > b else (v - a) / (b - a) for v in r]


def test_the_official_numbers():
    for (low, high), expected in zip(OFFICIAL["lu"], OFFICIAL["gt_lu"]):
        np.testing.assert_allclose(geotopological(OFFICIAL["D"], low, high), expected, rtol=0, atol=1e-12)
    for alpha, beta in ((10, 0.5), (4, 0.3)):
        found = geotopological(OFFICIAL["D"], kind="sigmoid", alpha=alpha, beta=beta)
        np.testing.assert_allclose(found, OFFICIAL[f"gt_sigmoid_a{alpha}_b{beta}"], rtol=0, atol=1e-12)
    narrow = OFFICIAL["gt_narrow_0.3_0.31"]
    found, known = geotopological(OFFICIAL["D"], 0.3, 0.31), ~np.isnan(narrow)
    np.testing.assert_allclose(found[known], narrow[known], rtol=0, atol=1e-12)


def test_by_hand():
    np.testing.assert_allclose(geotopological(SIX, 0.2, 0.8), [0, 0, 1 / 3, 2 / 3, 1, 1])
    np.testing.assert_allclose(geotopological(SIX, 0.0, 0.6), [0, 1 / 3, 2 / 3, 1, 1, 1])
    assert rank_minmax(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [1, 0, 1, 0.4]


@given(VALUES, WINDOWS)
def test_it_is_the_definition(d, window):
    np.testing.assert_allclose(geotopological(d, *window), by_definition(d, *window), rtol=1e-9, atol=1e-9)


@given(VALUES)
def test_the_whole_window_is_the_rank_rdm(d):
    assert np.array_equal(geotopological(d, 0, 1), rank_minmax(d))


@given(arrays(np.float64, 15, elements=st.integers(0, 50)), WINDOWS)
def test_no_increasing_map_changes_anything(d, window):
    assert np.array_equal(geotopological(d, *window), geotopological(np.expm1(d / 5) - 3, *window))


@given(VALUES, WINDOWS, st.integers(0, 100))
def test_bounds_order_and_permutation(d, window, seed):
    found = geotopological(d, *window)
    assert found.min() >= 0 and found.max() <= 1
    order = np.argsort(d, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    permuted = np.random.default_rng(seed).permutation(6)
    again = geotopological(squareform(d)[permuted][:, permuted], *window)
    assert np.array_equal(again, squareform(found)[permuted][:, permuted])


def test_the_window_holds_shares_of_the_pairs():
    m, low, high = 499_500, 0.3, 0.55
    found = geotopological(draw(m), low, high)
    assert abs((found == 0).sum() - low * m) <= 2 and abs((found == 1).sum() - (1 - high) * m) <= 2


def test_a_window_without_width_is_a_graph():
    d = draw(45)
    found = geotopological(d, 0.4, 0.4)
    assert set(found) == {0.0, 1.0} and np.array_equal(found == 1, rankdata(d) - 1 > 0.4 * 44)
    almost = geotopological(d, 0.4 - 1e-9, 0.4)
    assert set(almost) <= {0.0, 1.0} and np.array_equal(almost, found)


def test_ties_and_constants_have_their_limit():
    # Quantiles 0.2 and 0.5 are both the tied value: 1 above it, 0 elsewhere.
    assert geotopological(np.array([1.0, 1, 1, 1, 2, 3]), 0.2, 0.5).tolist() == [0, 0, 0, 0, 1, 1]
    for function in (rank_minmax, geotopological, lambda d: geotopological(d, 0.5, 0.5)):
        assert function(np.full(6, 3.0)).tolist() == [0] * 6
    assert geotopological(np.full(6, 3.0), rank=False).tolist() == [0] * 6
    assert rank_minmax(np.array([2.0])).tolist() == [0]


@pytest.mark.filterwarnings("ignore")
def test_quantiles_of_values_as_rsatoolbox_takes_them():
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm.transform import geotopological_transform, minmax_transform

    d = draw(45) ** 4
    theirs = geotopological_transform(RDMs(d[None].copy()), 0.2, 0.8).dissimilarities[0]
    np.testing.assert_allclose(geotopological(d, rank=False), theirs, rtol=1e-9, atol=1e-12)
    theirs = minmax_transform(RDMs(d[None].copy())).dissimilarities[0]
    np.testing.assert_allclose(geotopological(d, 0, 1, rank=False), theirs, rtol=1e-12)
    # On skewed values it is another thing than on ranks.
    assert np.abs(geotopological(d, rank=False) - geotopological(d)).max() > 0.1


def test_the_sigmoid_is_half_at_beta_and_steeper_with_alpha():
    d = np.arange(11.0)
    found = geotopological(d, kind="sigmoid", beta=0.3)
    assert found[3] == pytest.approx(0.5) and (np.diff(found) > 0).all()
    assert np.ptp(geotopological(d, kind="sigmoid", alpha=1)) < np.ptp(found)


def test_every_form_comes_back_as_it_came():
    d = np.stack([draw(10, seed) for seed in range(3)])
    batch = geotopological(d)
    for one, expected in zip(d, batch):
        assert np.array_equal(geotopological(one), expected)
        assert np.array_equal(geotopological(squareform(one)), squareform(expected))
    found = geotopological(torch.from_numpy(d).float())
    assert (
        isinstance(found, torch.Tensor) and found.dtype == torch.float64 and torch.equal(found, torch.from_numpy(batch))
    )
    # Ten RDMs of ten pairs are no square: no symmetry, no zero diagonal.
    ten = np.stack([draw(10, seed) for seed in range(10)])
    assert np.array_equal(geotopological(ten)[3], geotopological(ten[3]))


def test_bad_arguments_are_refused():
    for low, high in ((0.5, 0.4), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)):
        with pytest.raises(InputError, match="expected 0 <= l <= u <= 1"):
            geotopological(SIX, low, high)
    with pytest.raises(InputError, match="unknown kind 'linaer'; nearest: linear"):
        geotopological(SIX, kind="linaer")
    with pytest.raises(InputError, match="alpha is 0; it must be finite and above 0"):
        geotopological(SIX, kind="sigmoid", alpha=0)
    with pytest.raises(InputError, match="beta is nan"):
        geotopological(SIX, kind="sigmoid", beta=float("nan"))
    with pytest.raises(InputError, match=r"rdm has shape \(2, 2, 2\); expected \(pairs,\)"):
        rank_minmax(np.zeros((2, 2, 2)))
    with pytest.raises(InputError, match="rdm holds a value that is not finite, first in row 1"):
        rank_minmax(np.array([1.0, np.nan, 2.0]))


def test_ranks_of_tiny_differences_and_zero_distances_are_kept():
    points = np.array([[0.0], [0.0], [1e-12], [5.0]])
    found = squareform(rank_minmax(rdm(points)))
    assert found[0, 1] == 0 and found[0, 2] == found[1, 2] > 0
