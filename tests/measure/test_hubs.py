"""Hubness: an explicit loop, closed forms and limits."""

import numpy as np
import pytest
import torch
from scipy.stats import skew

from farfield.errors import InputError
from farfield.measure import hubness, hubs


def by_loop(x, k):
    counts = np.zeros(len(x), dtype=int)
    for i, row in enumerate(x):
        distances = np.linalg.norm(x - row, axis=1)
        distances[i] = np.inf
        counts[np.argsort(distances)[:k]] += 1
    return counts


@pytest.mark.parametrize(("n", "d", "k"), [(60, 3, 5), (40, 30, 10), (12, 2, 11)])
def test_equals_an_explicit_loop(n, d, k):
    x = np.random.default_rng(n).normal(size=(n, d))
    found = hubness(x, k)
    counts = by_loop(x, k)
    assert found.counts.tolist() == counts.tolist()
    assert found.orphans == np.mean(counts == 0) and found.largest == counts.max() / n
    assert found.skewness == pytest.approx(0 if k == n - 1 else skew(counts))


def test_blocks_change_nothing(monkeypatch):
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    whole = hubness(x, 3)
    monkeypatch.setattr(hubs, "BLOCK", 50 * 7)
    assert torch.equal(hubness(x, 3).counts, whole.counts)


def test_many_dimensions_make_hubs_and_one_makes_none():
    rng = np.random.default_rng(0)
    assert hubness(rng.normal(size=(500, 200))).skewness > 1.5
    assert abs(hubness(rng.uniform(size=(500, 1))).skewness) < 0.5


def test_bad_input():
    for k in (0, 3):
        with pytest.raises(InputError, match=f"k is {k}; x has 3 rows"):
            hubness(np.eye(3), k)
    with pytest.raises(InputError, match="not finite"):
        hubness(np.array([[0.0], [np.inf]]), 1)
