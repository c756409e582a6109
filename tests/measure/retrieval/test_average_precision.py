"""Average precision of the whole gallery: the released code's numbers, scikit-learn's, closed forms."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from farfield.errors import InputError
from farfield.measure import map_at_k, retrieval_map

ORACLE = np.load(Path(__file__).parents[2] / "data" / "bt2.npz", allow_pickle=False)


@pytest.mark.parametrize("queries", ["old", "new"])
@pytest.mark.parametrize("gallery", ["old", "new"])
def test_the_released_codes_numbers(queries, gallery):
    if (queries, gallery) == ("old", "new"):
        pytest.skip("old queries on a new gallery are not in the released numbers")
    q, g, y = ORACLE[f"ret_{queries}"], ORACLE[f"ret_{gallery}"], ORACLE["ret_labels"]
    m = min(q.shape[1], g.shape[1])
    found = retrieval_map(1 - q[:, :m] @ g[:, :m].T, y, y, exclude_self=True)
    assert found == pytest.approx(float(ORACLE[f"map_{queries}{gallery}"]), abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_scikit_learns_average_precision(seed):
    rng = np.random.default_rng(seed)
    dist, qy, gy = rng.random((4, 9)), rng.integers(2, size=4), np.r_[0, 1, rng.integers(2, size=7)]
    expected = [average_precision_score(gy == y, -d) for y, d in zip(qy, dist, strict=True)]
    assert retrieval_map(dist, qy, gy) == pytest.approx(np.mean(expected))


def test_of_a_single_relevant_item_it_is_one_over_its_rank():
    dist, qy, gy = np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([1]), np.array([0, 0, 1, 0])
    assert retrieval_map(dist, qy, gy) == pytest.approx(1 / 3)
    # The other measure divides by k, whatever there is to find.
    assert map_at_k(gy[dist.argsort()], qy, 4) == pytest.approx(1 / 12)


def test_the_limits():
    y = np.arange(12) // 3
    same = (y[:, None] == y).astype(float)
    assert retrieval_map(1 - same, y, y, exclude_self=True) == 1.0
    assert retrieval_map(np.zeros((1, 2)), np.array([9]), np.array([0, 1])) == 0.0
    # Equally near items come in their own order.
    assert retrieval_map(np.zeros((1, 2)), np.array([1]), np.array([0, 1])) == 0.5


def test_input_that_does_not_fit():
    with pytest.raises(InputError, match="a single item, the query itself"):
        retrieval_map(np.zeros((1, 1)), np.array([0]), np.array([0]), exclude_self=True)
