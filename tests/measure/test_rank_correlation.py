import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from farfield.errors import InputError
from farfield.measure import RankCorrelation, rank_correlation


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=20))
def test_it_is_spearmans_also_with_ties(pairs):
    x, y = np.array(pairs, dtype=float).T
    if len(set(x)) == 1 or len(set(y)) == 1:
        with pytest.raises(InputError, match="have no order"):
            rank_correlation(x, y, permutations=1)
    else:
        assert rank_correlation(x, y, permutations=1).value == pytest.approx(spearmanr(x, y).statistic)


def test_p_is_the_share_of_all_orders_that_do_as_well():
    # Of the 24 orders of four, only the rising and the falling one reach |rho| = 1.
    found = rank_correlation([1, 2, 3, 4], [10, 20, 30, 40], permutations=50_000)
    assert found == RankCorrelation(pytest.approx(1), pytest.approx(2 / 24, abs=0.005), 4)


def test_chance_alone_is_below_5_percent_as_often_as_it_should_be():
    rng = np.random.default_rng(0)
    p = [rank_correlation(rng.normal(size=8), rng.normal(size=8), permutations=199, seed=i).p for i in range(500)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.025)


def test_only_ranks_count_and_the_seed_decides():
    x, y = np.random.default_rng(1).normal(size=(2, 12))
    found = rank_correlation(x, y)
    assert found == rank_correlation(np.exp(x), y**3)
    assert found == rank_correlation(x, y) and found.n == 12
    assert rank_correlation(x, -y).value == pytest.approx(-found.value)
    assert rank_correlation(x, y, seed=1).p != found.p
    # In parts of a million numbers, as in one.
    assert rank_correlation(np.arange(1000), np.arange(1000) % 7, permutations=2500).n == 1000


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match=r"x has shape \(3,\) but y has \(4,\)"):
        rank_correlation([1, 2, 3], [1, 2, 3, 4])
    with pytest.raises(InputError, match=r"x has shape \(2,\); expected at least 3 finite numbers"):
        rank_correlation([1, 2], [1, 2])
    with pytest.raises(InputError, match="y has shape"):
        rank_correlation([1, 2, 3], [1, 2, float("nan")])
    with pytest.raises(InputError, match="permutations is 0"):
        rank_correlation([1, 2, 3], [1, 2, 3], permutations=0)
