"""Cumulative matches: the released code's numbers, a slow loop, closed forms."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import cmc
from farfield.measure.retrieval import _ranking

ORACLE = np.load(Path(__file__).parents[2] / "data" / "bt2.npz", allow_pickle=False)
PAIRS = {"oldold": ("ret_old", "ret_old"), "newold": ("ret_new", "ret_old"), "newnew": ("ret_new", "ret_new")}


def distances(queries, gallery):
    q, g = ORACLE[queries], ORACLE[gallery]
    m = min(q.shape[1], g.shape[1])
    return 1 - q[:, :m] @ g[:, :m].T


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("block", [1, 10_000])
def test_the_released_codes_numbers(pair, block, monkeypatch):
    monkeypatch.setattr(_ranking, "BLOCK", block)
    labels = ORACLE["ret_labels"]
    found = cmc(distances(*PAIRS[pair]), labels, labels, 5, exclude_self=True)
    assert found == pytest.approx(ORACLE[f"cmc_{pair}"].tolist())


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.booleans())
def test_a_slow_loop(seed, topk, exclude):
    rng = np.random.default_rng(seed)
    # Few different distances: ties go to the item that comes first.
    dist, y = rng.integers(3, size=(6, 6)).astype(float), rng.integers(3, size=6)
    hits = np.zeros(topk)
    for i in range(6):
        order = [j for j in sorted(range(6), key=lambda j: (dist[i, j], j)) if not (exclude and i == j)]
        hits += [any(y[j] == y[i] for j in order[: k + 1]) for k in range(topk)]
    assert cmc(dist, y, y, topk, exclude) == pytest.approx((hits / 6).tolist())
    assert cmc(torch.from_numpy(dist), torch.from_numpy(y), torch.from_numpy(y), topk, exclude) == cmc(
        dist, y, y, topk, exclude
    )


def test_a_perfectly_clustered_set():
    y = np.arange(12) // 3
    assert cmc(1.0 - (y[:, None] == y), y, y, 1, exclude_self=True) == (1.0,)


def test_random_vectors_find_their_class_as_often_as_a_draw_does():
    rng = np.random.default_rng(0)
    n, classes = 1000, 10
    x = rng.normal(size=(n, 64))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    (top1,) = cmc(1 - x @ x.T, np.arange(n) % classes, np.arange(n) % classes, 1, exclude_self=True)
    chance = (n / classes - 1) / (n - 1)
    assert abs(top1 - chance) < 4 * np.sqrt(chance / n)


def test_a_label_that_no_item_has_is_a_miss():
    assert cmc(np.zeros((2, 2)), np.array([0, 9]), np.array([0, 1]), 2) == (0.5, 0.5)


def test_input_that_does_not_fit():
    y = np.arange(3)
    with pytest.raises(InputError, match="topk is 3; 2 items can be found"):
        cmc(np.zeros((3, 3)), y, y, 3, exclude_self=True)
    with pytest.raises(InputError, match="dist has 3 rows but qy has 2"):
        cmc(np.zeros((3, 3)), y[:2], y, 1)
    with pytest.raises(InputError, match="dist has 3 columns but gy 2 labels"):
        cmc(np.zeros((3, 3)), y, y[:2], 1)
    with pytest.raises(InputError, match=r"dist has shape \(2, 3\); to exclude each query itself"):
        cmc(np.zeros((2, 3)), y[:2], y, 1, exclude_self=True)
    with pytest.raises(InputError, match="dist holds a value that is not finite, first in row 1"):
        cmc(np.array([[0.0, 1.0], [np.inf, 0.0]]), y[:2], y[:2], 1)
    with pytest.raises(InputError, match=r"dist has shape \(3,\)"):
        cmc(np.zeros(3), y, y, 1)
