import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import mutual_information, semi_match, unit_mutual_information
from farfield.measure.matching.mutual_information import percentile_edges

ORACLE = np.load(Path(__file__).parents[1] / "data" / "convergent-learning.npz", allow_pickle=False)


def rectified(n, seed):
    return np.maximum(0, np.random.default_rng(seed).normal(size=n))


def by_histogram(x, y, bins, correct):
    edges = [percentile_edges(torch.from_numpy(v)[None], bins)[0].numpy() for v in (x, y)]
    counts, _, _ = np.histogram2d(x, y, bins=edges)
    p = counts / counts.sum()
    px, py = p.sum(1, keepdims=True), p.sum(0, keepdims=True)
    value = sum(p[i, j] * math.log(p[i, j] / (px[i, 0] * py[0, j])) for i, j in zip(*np.nonzero(p)))
    occupied = (p > 0).sum() - (px > 0).sum() - (py > 0).sum() + 1
    return value - correct * occupied / (2 * len(x))


def test_it_equals_the_official_edges_and_estimate():
    x, y = ORACLE["A"][:, 0], ORACLE["B"][:, 0]
    for values, edges in ((x, "mi_xedges"), (y, "mi_yedges")):
        np.testing.assert_allclose(percentile_edges(torch.from_numpy(values)[None], 10)[0], ORACLE[edges], atol=1e-10)
    assert mutual_information(x, y, correct=False) == pytest.approx(float(ORACLE["mi_nats"]), abs=1e-10)
    # The official code takes off a correction in bits, of the same numbers of bins.
    hist = ORACLE["mi_hist"]
    official = (hist > 0).sum() - (hist.sum(0) > 0).sum() - (hist.sum(1) > 0).sum() + 1
    nats = float(ORACLE["mi_nats"]) - official / (2 * len(x))
    assert mutual_information(x, y) == pytest.approx(nats, abs=1e-10)


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(2, 12), st.booleans())
def test_it_equals_a_histogram_and_a_loop(seed, bins, correct):
    x, y = rectified(60, seed), rectified(60, seed + 100)
    y = y + 0.5 * x
    assert mutual_information(x, y, bins, correct=correct) == pytest.approx(by_histogram(x, y, bins, correct), abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 50))
def test_increasing_maps_that_keep_zero_and_a_swap_change_nothing(seed):
    x, y = rectified(80, seed), rectified(80, seed + 100) + 0.3 * rectified(80, seed)
    value = mutual_information(x, y)
    assert mutual_information(np.expm1(x) * 7, y) == pytest.approx(value, abs=1e-12)
    assert mutual_information(y, np.sqrt(x)) == pytest.approx(value, abs=1e-12)


def test_a_unit_with_itself_has_the_entropy_of_its_bins():
    # 100 zeros and 900 others in 9 equal bins: 10 bins of 100.
    x = np.concatenate([np.zeros(100), np.arange(1, 901)]) + 0.0
    counts = np.histogram(x, percentile_edges(torch.from_numpy(x)[None], 10)[0].numpy())[0]
    assert counts.min() >= 99 and counts.max() <= 101
    entropy = -sum(c / 1000 * math.log(c / 1000) for c in counts)
    assert mutual_information(x, x, correct=False) == pytest.approx(entropy)
    assert entropy == pytest.approx(math.log(10), abs=1e-4)
    assert mutual_information(x, x, correct=False, units="bits") == pytest.approx(entropy / math.log(2))
    # Without zeros the first bin is empty.
    assert mutual_information(np.arange(1.0, 91.0), np.arange(90.0, 0.0, -1.0), correct=False) == pytest.approx(
        math.log(9), abs=0.02
    )
    # The correction for 10 cells on the diagonal is (10 - 10 - 10 + 1) / 2n.
    assert mutual_information(x, x) == pytest.approx(entropy + 9 / 2000)


def test_independent_units_have_none_once_corrected():
    rng = np.random.default_rng(0)
    corrected, plain = [], []
    for _ in range(60):
        x, y = rng.uniform(size=5000), rng.uniform(size=5000)
        corrected.append(mutual_information(x, y))
        plain.append(mutual_information(x, y, correct=False))
    assert abs(np.mean(corrected)) < 3e-4
    assert np.mean(plain) > 5e-3  # 8 x 8 / 2n = 0.0064


def test_a_gaussian_pair_has_nearly_its_closed_form():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200_000)
    y = 0.8 * x + 0.6 * rng.normal(size=200_000)
    exact = -0.5 * math.log(1 - 0.64)
    assert mutual_information(x, y, 41) == pytest.approx(exact, rel=0.05)


def test_all_pairs_at_once_are_each_pair(monkeypatch):
    a = np.stack([rectified(90, s) for s in range(5)], 1)
    b = np.stack([rectified(90, s + 7) for s in range(3)], 1) + 0.4 * a[:, :3]
    one_by_one = [[mutual_information(a[:, i], b[:, j], 6) for j in range(3)] for i in range(5)]
    np.testing.assert_allclose(unit_mutual_information(a, b, 6), one_by_one, atol=1e-12)
    module = sys.modules["farfield.measure.matching.mutual_information"]
    monkeypatch.setattr(module, "CELLS", 2 * 36 * 3)
    monkeypatch.setattr(module, "CHUNK", 7)
    np.testing.assert_allclose(unit_mutual_information(a, b, 6), one_by_one, atol=1e-12)
    assert semi_match(unit_mutual_information(b, a, 6))[0].tolist() == [0, 1, 2]


def test_constant_and_rectified_away_units_have_none():
    x = rectified(50, 0)
    assert mutual_information(np.zeros(50), x) == pytest.approx(0, abs=1e-12)
    assert mutual_information(x, np.full(50, 3.0), correct=False) == pytest.approx(0, abs=1e-12)


def test_what_comes_as_a_tensor_goes_as_one():
    found = unit_mutual_information(torch.rand(20, 2, generator=torch.Generator().manual_seed(0)), np.ones((20, 1)))
    assert isinstance(found, torch.Tensor) and found.shape == (2, 1)
    assert isinstance(mutual_information(torch.ones(3), torch.ones(3)), float)


def test_bad_arguments_are_refused():
    x = rectified(10, 0)
    with pytest.raises(InputError, match="bins is 1"):
        mutual_information(x, x, 1)
    with pytest.raises(InputError, match="units is 'bit'"):
        unit_mutual_information(x[:, None], x[:, None], units="bit")
    with pytest.raises(InputError, match="x has 10 rows but y has 9"):
        mutual_information(x, x[:9])
    with pytest.raises(InputError, match="b holds a value that is not finite"):
        unit_mutual_information(x[:, None], x[:, None] * np.nan)
