import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.augment import ArbitraryPairs
from farfield.errors import InputError


@given(st.integers(1, 30), st.integers(0, 100))
def test_a_permutation_takes_every_row_once(n, seed):
    found = ArbitraryPairs(seed=seed)(torch.zeros(n, dtype=torch.long))
    assert found.sort().values.tolist() == list(range(n))


def test_share_of_one_class_and_of_rows_paired_with_themselves():
    # n = 40 rows of C = 8 classes: itself 1/n, another of the class (n/C - 1)/n, together 1/C.
    y, pairs = torch.arange(40) % 8, ArbitraryPairs(seed=0)
    draws = torch.stack([pairs(y) for _ in range(3000)])
    rows = torch.arange(40)
    assert float((draws == rows).double().mean()) == pytest.approx(1 / 40, abs=0.002)
    assert float((y[draws] == y).double().mean()) == pytest.approx(1 / 8, abs=0.004)
    # Every row is a partner of every other equally often.
    meets = torch.zeros(40, 40).index_put_((rows.expand_as(draws), draws), torch.tensor(1.0), accumulate=True)
    assert float((meets / 3000 - 1 / 40).abs().max()) < 0.016


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 20), st.integers(0, 100))
def test_without_fixed_points_no_row_meets_itself(n, seed):
    pairs = ArbitraryPairs(fixed_points=False, seed=seed)
    for _ in range(5):
        found = pairs(torch.zeros(n, dtype=torch.long))
        assert found.sort().values.tolist() == list(range(n))
        assert not (found == torch.arange(n)).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(2, 6), st.floats(0, 1), st.integers(0, 100))
def test_stratified_has_the_share_that_was_asked_for(classes, per_class, share, seed):
    g = torch.Generator().manual_seed(seed)
    y = (torch.arange(classes * per_class) % classes)[torch.randperm(classes * per_class, generator=g)]
    found = ArbitraryPairs("stratified", same_class=share, fixed_points=False, seed=seed)(y)
    same = y[found] == y
    assert int(same.sum()) == round(share * len(y))
    assert not (found == torch.arange(len(y))).any()


def test_stratified_draws_evenly():
    y = torch.tensor([0, 1, 0, 2, 1, 0, 2, 0])
    draws = {}
    for share in (0.0, 1.0):
        pairs = ArbitraryPairs("stratified", same_class=share, seed=1)
        draws[share] = torch.stack([pairs(y) for _ in range(4000)])
    for i in range(len(y)):
        own = [j for j in range(len(y)) if y[j] == y[i] and j != i]
        others = [j for j in range(len(y)) if y[j] != y[i]]
        for share, allowed in ((1.0, own), (0.0, others)):
            counts = draws[share][:, i].bincount(minlength=len(y)) / 4000
            assert counts.nonzero().flatten().tolist() == allowed
            assert float((counts[allowed] - 1 / len(allowed)).abs().max()) < 0.04


def test_which_rows_get_their_own_class_is_drawn():
    y, pairs = torch.arange(12) % 3, ArbitraryPairs("stratified", same_class=0.5, seed=0)
    same = torch.stack([y[pairs(y)] == y for _ in range(2000)]).double().mean(0)
    assert float((same - 0.5).abs().max()) < 0.05


def test_a_row_alone_in_its_class_is_its_own_partner_or_is_refused():
    y = torch.tensor([0, 0, 1])
    assert ArbitraryPairs("stratified", same_class=1.0)(y).tolist() == [1, 0, 2]
    with pytest.raises(InputError, match="2 of 3 rows have another of their class"):
        ArbitraryPairs("stratified", same_class=1.0, fixed_points=False)(y)
    # Two thirds are possible, and it is those two.
    found = ArbitraryPairs("stratified", same_class=2 / 3, fixed_points=False)(y)
    assert found[:2].tolist() == [1, 0] and int(found[2]) in (0, 1)


def test_draws_go_on_and_are_repeatable():
    y = torch.arange(50)
    one, again = ArbitraryPairs(seed=3), ArbitraryPairs(seed=3)
    first = one(y)
    assert torch.equal(first, again(y)) and not torch.equal(first, one(y))


def test_what_cannot_be_is_refused():
    for options in ({"sampler": "stratified"}, {"same_class": 0.5}, {"sampler": "stratified", "same_class": 1.2}):
        with pytest.raises(InputError, match="same_class is"):
            ArbitraryPairs(**options)
    with pytest.raises(InputError, match="sampler"):
        ArbitraryPairs("balanced")
    with pytest.raises(InputError, match="1 row"):
        ArbitraryPairs(fixed_points=False)(torch.tensor([0]))
    with pytest.raises(InputError, match="all 3 rows are of one class"):
        ArbitraryPairs("stratified", same_class=0.5)(torch.zeros(3, dtype=torch.long))
    with pytest.raises(InputError, match="y has shape"):
        ArbitraryPairs()(torch.zeros(0, dtype=torch.long))
