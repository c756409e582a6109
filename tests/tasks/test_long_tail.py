"""Class sizes against their formula, and which rows are kept."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks import Table, long_tail_counts, long_tailed


def test_the_papers_sizes():
    assert long_tail_counts(10, 10, 500).tolist() == [500, 387, 299, 232, 179, 139, 107, 83, 64, 50]
    assert long_tail_counts(10, 100, 5000)[[0, -1]].tolist() == [5000, 50]
    assert long_tail_counts(3, 1, 7).tolist() == [7, 7, 7]


@settings(deadline=None)
@given(classes=st.integers(2, 30), rho=st.integers(1, 60), n=st.integers(1, 50))
def test_ends_are_exact_and_sizes_fall(classes, rho, n):
    counts = long_tail_counts(classes, rho, rho * n)
    assert counts[0] == rho * n and counts[-1] == n
    assert (counts.diff() <= 0).all()


def test_rows_are_kept_whole_in_order_and_without_repeats():
    y = torch.arange(4).repeat(100)
    rows, order = long_tailed(Table(x=torch.arange(400), y=y), rho=8, n_max=80, seed=5)
    x = rows.columns["x"]
    assert (x.diff() > 0).all() and torch.equal(y[x], rows.columns["y"])
    assert torch.bincount(rows.columns["y"])[order].tolist() == long_tail_counts(4, 8, 80).tolist()


def test_over_seeds_every_class_is_the_rarest_once():
    y = torch.arange(4).repeat(20)
    rarest = {int(long_tailed(Table(y=y), 4, seed=seed)[1][-1]) for seed in range(30)}
    assert rarest == {0, 1, 2, 3}


def test_without_a_size_the_tail_is_as_large_as_the_rows_allow():
    y = torch.arange(3).repeat_interleave(torch.tensor([90, 50, 20]))
    for seed in range(6):
        rows, order = long_tailed(Table(y=y), 9, seed=seed)
        sizes = torch.bincount(y)[order]
        n_max = int(torch.bincount(rows.columns["y"])[order][0])
        assert (long_tail_counts(3, 9, n_max) <= sizes).all()
        assert (long_tail_counts(3, 9, n_max + 9) > sizes).any()


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: long_tail_counts(1, 10, 5), "classes is 1"),
        (lambda: long_tail_counts(3, 0.5, 5), "rho is 0.5"),
        (lambda: long_tail_counts(3, 10, 5), "the smallest class would have no member"),
        (lambda: long_tailed(Table(y=torch.arange(3).repeat(5)), 2, 6), "has 5 rows; the long tail needs 6 of it"),
        (lambda: long_tailed(Table(y=torch.arange(3).repeat(5)), 2, classes=4), "the smallest class"),
        (lambda: long_tailed(Table(x=torch.arange(3)), 2), "no column 'y'"),
    ],
)
def test_what_cannot_be_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
