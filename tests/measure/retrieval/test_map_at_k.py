"""Ranked lists: the released code's numbers, closed forms, and a slow loop."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import hit_rate_at_k, map_at_k, precision_at_k

ORACLE = np.load(Path(__file__).parents[2] / "data" / "matryoshka.npz", allow_pickle=False)


@pytest.mark.parametrize("k", [1, 5])
def test_the_released_codes_numbers(k):
    ranked, wanted = ORACLE["db_labels"][ORACLE["funnel_result"]], ORACLE["q_labels"]
    assert map_at_k(ranked, wanted, k) == pytest.approx(float(ORACLE[f"funnel_mAP_at_{k}"]))
    assert precision_at_k(ranked, wanted, k) == pytest.approx(float(ORACLE[f"funnel_precision_at_{k}"]))
    assert hit_rate_at_k(ranked, wanted, k) == pytest.approx(float(ORACLE[f"funnel_topk_{k}"]))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_a_slow_loop(seed, k):
    rng = np.random.default_rng(seed)
    ranked, wanted = rng.integers(3, size=(5, 8)), rng.integers(3, size=5)
    precisions = []
    for row, _ in zip(ranked[:, :k] == wanted[:, None], wanted):
        precisions.append(sum(row[: r + 1].mean() for r in range(k) if row[r]) / k)
    assert map_at_k(ranked, wanted, k) == pytest.approx(np.mean(precisions))
    assert map_at_k(ranked, wanted, k) <= precision_at_k(ranked, wanted, k) + 1e-12
    assert precision_at_k(ranked, wanted, k) <= hit_rate_at_k(ranked, wanted, k) + 1e-12


def test_it_divides_by_k_also_where_fewer_items_are_relevant():
    assert map_at_k(np.array([[1, 0, 0, 0]]), np.array([1]), 4) == 0.25
    assert map_at_k(np.array([[0, 0, 0, 1]]), np.array([1]), 4) == pytest.approx(1 / 16)
    assert map_at_k(np.array([[1, 1]]), np.array([1]), 2) == 1.0


def test_input_that_does_not_fit():
    ranked = np.zeros((2, 3), int)
    for k in (0, 4):
        with pytest.raises(InputError, match=f"k is {k}; the lists have 3 items"):
            map_at_k(ranked, np.zeros(2, int), k)
    with pytest.raises(InputError, match="ranked_labels has 2 rows but query_labels has 3"):
        hit_rate_at_k(ranked, np.zeros(3, int), 1)
