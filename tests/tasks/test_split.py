"""Splits: disjoint, complete, stratified, seeded, and no example in two of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks.split import assign, check_domains, duplicate_groups, duplicate_notes


@st.composite
def data(draw):
    """Labels, domains and duplicate groups (often across domains and labels), and the domains to hold out."""
    n = draw(st.integers(1, 60))
    y = np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    domain = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    groups = np.array(draw(st.lists(st.integers(0, draw(st.integers(0, n))), min_size=n, max_size=n)))
    present = sorted(set(domain.tolist()))
    held_out = draw(st.lists(st.sampled_from(present), unique=True, max_size=len(present)))
    return y, domain, groups, held_out, draw(st.integers(0, 5))


def splits(a):
    return {"train": a.train, "val": a.val, "iid": a.iid, **a.tests}


@given(data())
@settings(max_examples=300, deadline=None)
def test_assign_keeps_its_promises(drawn):
    y, domain, groups, held_out, seed = drawn
    a = assign(y, domain, test_domains=held_out, groups=groups, seed=seed)
    rows = np.concatenate(list(splits(a).values()))

    assert len(rows) == len(set(rows.tolist())), "disjoint"
    assert len(rows) + a.dropped == len(y), "complete"
    for d in held_out:
        assert a.tests[d].tolist() == np.flatnonzero(domain == d).tolist(), "test domains whole"
    in_tests = {int(g) for d in held_out for g in groups[a.tests[d]]}
    near = {k: set(groups[v].tolist()) for k, v in splits(a).items() if k in ("train", "val", "iid")}
    for name, members in near.items():
        assert not members & in_tests, "no example of a test domain in training"
        for other, others in near.items():
            assert name == other or not members & others, "groups never straddle"
    kept = np.concatenate([a.train, a.val, a.iid])
    strata = set(zip(domain[kept].tolist(), y[kept].tolist()))
    assert strata == set(zip(domain[a.train].tolist(), y[a.train].tolist())), (
        "each domain and class keeps a training row"
    )
    for d in held_out:
        assert d not in domain[kept]


@given(data())
@settings(max_examples=50, deadline=None)
def test_the_same_seed_gives_the_same_splits(drawn):
    y, domain, groups, held_out, seed = drawn
    first, again = (splits(assign(y, domain, test_domains=held_out, groups=groups, seed=seed)) for _ in range(2))
    assert all(np.array_equal(first[k], again[k]) for k in first)


def test_another_seed_gives_other_splits():
    y, domain = np.tile([0, 1], 50), np.repeat([0, 1], 50)
    assert assign(y, domain, seed=0).train.tolist() != assign(y, domain, seed=1).train.tolist()


def test_each_domain_and_class_has_its_share_everywhere():
    y, domain = np.tile([0, 0, 0, 1], 100), np.repeat([0, 1], 200)
    a = assign(y, domain, validation=0.1, iid=0.3, seed=4)
    for d in (0, 1):
        for c, n in ((0, 150), (1, 50)):
            for rows, share in ((a.train, 0.6), (a.val, 0.1), (a.iid, 0.3)):
                assert abs(((domain[rows] == d) & (y[rows] == c)).sum() - share * n) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_small_strata_still_give_the_whole_split_its_share(seed):
    # 12 strata of 3 rows: each alone would round 0.6 rows down or up.
    y, domain = np.tile(np.arange(3), 12), np.repeat(np.arange(4), 9)
    a = assign(y, domain, seed=seed)
    assert 6 <= len(a.val) <= 8
    assert 6 <= len(a.iid) <= 8


def test_rows_that_follow_a_group_do_not_take_a_class_out_of_training():
    # Rows 0 and 5 are one example; row 5 is the only one of its domain and class.
    y, domain = np.array([0, 0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 0, 1])
    groups = np.array([0, 1, 2, 3, 4, 0])
    for seed in range(30):
        a = assign(y, domain, groups=groups, seed=seed)
        assert {0, 5} <= set(a.train.tolist())


def test_labels_of_the_test_domain_decide_nothing():
    y, domain = np.tile([0, 1], 40), np.repeat([0, 1, 2, 3], 20)
    flipped = np.where(domain == 2, 1 - y, y)
    one, two = (splits(assign(labels, domain, test_domains=[2], seed=3)) for labels in (y, flipped))
    assert all(np.array_equal(one[k], two[k]) for k in one)


def test_what_cannot_be_assigned_is_refused():
    y, domain = np.array([0, 1]), np.array([0, 1])
    with pytest.raises(InputError, match=r"validation is 0\.5 and iid 0\.5"):
        assign(y, domain, validation=0.5, iid=0.5)
    with pytest.raises(InputError, match="2, 1 and 2 rows"):
        assign(y, domain[:1])
    with pytest.raises(InputError, match="the test domain 7 has no row"):
        assign(y, domain, test_domains=[7])


@given(st.lists(st.tuples(st.integers(-1, 1), st.sampled_from(["", "a", "b", "a\0b", "\0"])), min_size=1, max_size=20))
def test_rows_have_one_group_exactly_where_all_columns_are_equal(rows):
    numbers, words = np.array([[r[0], 5] for r in rows], dtype=float), np.array([r[1] for r in rows], dtype=object)
    groups = duplicate_groups(numbers, words, words[::-1][::-1])
    for i in range(len(rows)):
        for j in range(len(rows)):
            assert (groups[i] == groups[j]) == (rows[i] == rows[j])


def test_columns_of_strings_do_not_run_into_each_other():
    one, two = np.array(["a\0", "a"], dtype=object), np.array(["b", "\0b"], dtype=object)
    assert duplicate_groups(one, two).tolist() == [0, 1]


def test_zero_and_minus_zero_are_equal():
    assert duplicate_groups(np.array([0.0, -0.0])).tolist() == [0, 0]


def test_duplicates_are_told():
    notes = duplicate_notes(np.array([0, 0, 0, 1]), dropped=2)
    assert notes[0].startswith("2 of 4 rows repeat")
    assert notes[1].startswith("2 training rows were left out")
    assert duplicate_notes(np.arange(4), dropped=0) == ()


@pytest.mark.parametrize(
    ("y", "domain", "says"),
    [
        ([0, 1], [0, 0], "one domain only"),
        ([0, 0], [0, 1], "labels of x.csv are all the same"),
        ([0, 0, 1], [0, 1, 1], "the class 'b' of x.csv exists in one domain alone \\('t'\\)"),
    ],
)
def test_data_that_cannot_answer_are_refused(y, domain, says):
    classes, domains = ["a", "b"][: max(y) + 1], ["s", "t"][: max(domain) + 1]
    with pytest.raises(InputError, match=says):
        check_domains(np.array(y), np.array(domain), classes=classes, domains=domains, source="x.csv")


def test_a_class_without_rows_is_refused():
    with pytest.raises(InputError, match=r"the class 'b' of x\.csv has no row"):
        check_domains(np.array([0, 0]), np.array([0, 1]), classes=["a", "b"], domains=["s", "t"], source="x.csv")
