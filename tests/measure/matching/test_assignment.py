import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import (
    MatchSummary,
    UnitCorrelation,
    bipartite_match,
    match_summary,
    permutation_cycles,
    semi_match,
)

ORACLE = np.load(Path(__file__).parents[1] / "data" / "convergent-learning.npz", allow_pickle=False)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, size=shape)


def test_it_equals_the_official_matchings():
    c = ORACLE["xcor"]
    assert semi_match(c)[0].tolist() == ORACLE["greedy"].tolist()
    index, value = bipartite_match(c)
    assert index.tolist() == ORACLE["match"].tolist()
    assert value.tolist() == c[np.arange(12), index].tolist()
    assert bipartite_match(c, forbid_diagonal=True)[0].tolist() == ORACLE["match_no_diag"].tolist()
    summary = match_summary(c)
    assert summary.greedy == pytest.approx(float(ORACLE["mean_greedy"]), abs=1e-10)
    assert summary.matching == pytest.approx(float(ORACLE["mean_match"]), abs=1e-10)
    assert summary.overlap == pytest.approx(float(ORACLE["overlap"]))
    cycles, lengths = permutation_cycles(index)
    assert cycles.tolist() == ORACLE["loop_order"].tolist() and lengths.tolist() == ORACLE["loop_lengths"].tolist()


def test_the_example_of_two_units_that_want_the_same_partner():
    c = np.array([[0.9, 0.8], [0.85, 0.1]])
    assert semi_match(c)[0].tolist() == [0, 0]
    assert bipartite_match(c)[0].tolist() == [1, 0]
    found = match_summary(c)
    assert found == MatchSummary(found.greedy, found.matching, 0.5, 0.9, 0.85)
    assert found.greedy == pytest.approx(0.875) and found.matching == pytest.approx(0.825)


@settings(deadline=None)
@given(st.integers(0, 200), st.booleans())
def test_no_other_one_to_one_pairing_has_a_higher_sum(seed, forbid):
    c = draw(5, 5, seed=seed)
    index, value = bipartite_match(c, forbid_diagonal=forbid)
    sums = [
        sum(c[i, j] for i, j in enumerate(p))
        for p in itertools.permutations(range(5))
        if not forbid or all(i != j for i, j in enumerate(p))
    ]
    assert value.sum() == pytest.approx(max(sums))
    assert sorted(index.tolist()) == [0, 1, 2, 3, 4]


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 4), st.integers(0, 100))
def test_matching_is_at_most_greedy_and_equal_where_partners_differ(d, more, seed):
    c = draw(d, d + more, seed=seed)
    found = match_summary(c)
    distinct = len(set(semi_match(c)[0].tolist())) == d
    assert found.matching <= found.greedy + 1e-12
    assert (found.overlap == 1) == distinct == (found.matching == pytest.approx(found.greedy, abs=1e-12))
    assert found.worst <= found.greedy <= found.best


def test_permuted_scaled_and_shifted_units_are_found_again():
    rng = np.random.default_rng(0)
    a, order = rng.normal(size=(50, 7)), rng.permutation(7)
    b = a[:, order] * rng.uniform(0.1, 10, 7) + rng.normal(size=7)
    c = UnitCorrelation(7, 7).update(a, b).result().between
    index, value = bipartite_match(c)
    assert order[index].tolist() == list(range(7))
    np.testing.assert_allclose(value, 1)
    assert match_summary(c).overlap == 1


def test_the_sign_counts():
    assert semi_match(np.array([[-0.9, 0.1]]))[0].tolist() == [1]


def test_rows_without_a_partner_are_marked():
    c = np.array([[0.1, 0.2], [-0.5, -0.4], [0.9, 0.3]])
    index, value = bipartite_match(c)
    assert index.tolist() == [1, -1, 0] and value.tolist() == [0.2, 0.0, 0.9]
    found = match_summary(c)
    assert found.matching == pytest.approx(0.55) and found.overlap == 1 and found.greedy == pytest.approx(0.7 / 3)
    # Wider than high: every row is paired, with a negative value where there is nothing better.
    assert bipartite_match(c.T)[0].tolist() == [2, 0]
    assert bipartite_match(-np.ones((2, 2)))[1].tolist() == [-1.0, -1.0]


def test_within_one_network_nobody_pairs_with_itself():
    c = np.eye(4) * 5 + draw(4, 4)
    assert (semi_match(c, forbid_diagonal=True)[0] != np.arange(4)).all()
    assert (bipartite_match(c, forbid_diagonal=True)[0] != np.arange(4)).all()
    assert semi_match(c)[0].tolist() == bipartite_match(c)[0].tolist() == [0, 1, 2, 3]


@settings(deadline=None)
@given(st.permutations(range(8)))
def test_cycles_follow_the_permutation(order):
    cycles, lengths = permutation_cycles(np.array(order))
    assert sorted(cycles.tolist()) == list(range(8)) and lengths.sum() == 8
    for cycle in np.split(cycles, np.cumsum(lengths)[:-1]):
        assert [order[i] for i in cycle] == np.roll(cycle, -1).tolist() and cycle[0] == cycle.min()


def test_cycles_of_the_sheets_example():
    cycles, lengths = permutation_cycles(torch.tensor([1, 0, 3, 4, 2]))
    assert cycles.tolist() == [0, 1, 2, 3, 4] and lengths.tolist() == [2, 3]


def test_tensors_come_back_as_tensors_and_nothing_given_is_changed():
    c = torch.tensor([[0.9, 0.8], [0.85, 0.1]], dtype=torch.float64)
    before = c.clone()
    for match in (semi_match, bipartite_match):
        index, value = match(c, forbid_diagonal=True)
        assert index.tolist() == [1, 0] and index.dtype == torch.int64 and isinstance(value, torch.Tensor)
    assert torch.equal(c, before)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match=r"c has shape \(2, 3\); without its diagonal it must be square"):
        bipartite_match(draw(2, 3), forbid_diagonal=True)
    with pytest.raises(InputError, match="at least 2 x 2"):
        semi_match(draw(1, 1), forbid_diagonal=True)
    with pytest.raises(InputError, match="c holds a value that is not finite"):
        match_summary(np.array([[np.nan]]))
    for bad in ([0, 0], [1, 2], [0.5, 1], [-1, 0]):
        with pytest.raises(InputError, match=r"order is no permutation of 0\.\.1"):
            permutation_cycles(np.array(bad))
