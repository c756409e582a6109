"""Noise matrices against their closed forms, and labels against their matrices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks import Table, long_tail_counts, noise_matrix, noisy_labels, with_label_noise
from farfield.tasks.label_noise import KINDS


@settings(deadline=None)
@given(
    fraction=st.floats(0, 1),
    kind=st.sampled_from(KINDS),
    counts=st.lists(st.integers(1, 1000), min_size=2, max_size=12),
)
def test_rows_sum_to_one_and_the_diagonal_is_what_is_kept(fraction, kind, counts):
    matrix = noise_matrix(fraction, kind, counts=np.array(counts))
    assert matrix.shape == (len(counts), len(counts)) and (matrix >= 0).all()
    torch.testing.assert_close(matrix.sum(1), torch.ones(len(counts), dtype=torch.float64))
    kept = 1 - fraction + (fraction / len(counts) if kind == "uniform" else 0)
    torch.testing.assert_close(matrix.diagonal(), torch.full((len(counts),), kept, dtype=torch.float64))


def test_entries_of_a_row_follow_the_class_sizes():
    counts = long_tail_counts(10, 10, 500)
    matrix = noise_matrix(0.4, "lt-asymmetric", counts=counts)
    n = counts.sum()
    for k, j in ((0, 3), (4, 0), (9, 8)):
        assert matrix[k, j] == pytest.approx(0.4 * counts[j] / (n - counts[k]))
    assert matrix[5, 1] / matrix[5, 7] == pytest.approx(float(counts[1] / counts[7]))


def test_other_kinds_by_hand():
    third = 0.3 / 3
    assert noise_matrix(0.3, "symmetric", classes=4)[2].tolist() == pytest.approx([third, third, 0.7, third])
    assert noise_matrix(0.3, "uniform", classes=4)[2].tolist() == pytest.approx([0.075, 0.075, 0.775, 0.075])
    assert noise_matrix(0.3, "asymmetric", classes=4)[3].tolist() == pytest.approx([0.3, 0, 0, 0.7])


@pytest.mark.parametrize("kind", KINDS)
def test_labels_come_out_as_often_as_the_matrix_says(kind):
    counts = torch.tensor([60_000, 30_000, 10_000])
    y = torch.arange(3).repeat_interleave(counts)
    noisy, matrix = noisy_labels(y, 0.4, kind, seed=3)
    for k in range(3):
        found = torch.bincount(noisy[y == k], minlength=3).double()
        spread = (counts[k] * matrix[k] * (1 - matrix[k])).sqrt()
        assert ((found - counts[k] * matrix[k]).abs() <= 4 * spread).all()
    # The expected size of a noisy class is sum_k n_k T[k, j].
    expected = counts.double() @ matrix
    torch.testing.assert_close(torch.bincount(noisy, minlength=3).double(), expected, rtol=0.03, atol=0.0)


@settings(deadline=None)
@given(seed=st.integers(0, 50), low=st.floats(0, 1), high=st.floats(0, 1))
def test_less_noise_is_part_of_more_noise(seed, low, high):
    low, high = sorted((low, high))
    y = torch.arange(6).repeat(20)
    (few, few_replaced), (many, many_replaced) = (
        with_label_noise(Table(y=y), fraction, 6, seed, kind="symmetric") for fraction in (low, high)
    )
    assert not (few_replaced & ~many_replaced).any()
    assert torch.equal(few.columns["y"][few_replaced], many.columns["y"][few_replaced])


def test_limits():
    y = torch.arange(4).repeat(50)
    assert torch.equal(noisy_labels(y, 0.0)[0], y)
    assert not (noisy_labels(y, 1.0, "symmetric")[0] == y).any()
    assert torch.equal(noisy_labels(y, 1.0, "asymmetric")[0], (y + 1) % 4)
    noisy, replaced = with_label_noise(Table(x=torch.zeros(200, 2), y=y), 1.0, 4)
    assert replaced.all() and 0.1 < (noisy.columns["y"] == y).float().mean() < 0.4
    assert noisy.columns["x"] is not None and torch.equal(y, torch.arange(4).repeat(50))  # what came is not changed


def test_numpy_comes_back_as_numpy_of_its_type_and_seeds_matter():
    y = np.arange(5, dtype=np.int32).repeat(30)
    (a, _), (b, _), (c, _) = (noisy_labels(y, 0.5, seed=s) for s in (0, 0, 1))
    assert isinstance(a, np.ndarray) and a.dtype == np.int32
    assert (a == b).all() and (a != c).any()


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: noisy_labels(torch.arange(3), 1.5), "the label-noise fraction is 1.5"),
        (lambda: noisy_labels(torch.arange(3), float("nan")), "the label-noise fraction is nan"),
        (lambda: noisy_labels(torch.arange(3), 0.1, "symetric"), "unknown kind of label noise 'symetric'; nearest"),
        (lambda: noisy_labels(torch.zeros(3), 0.1), "y is torch.float32"),
        (lambda: noisy_labels(torch.tensor([0, -1]), 0.1, classes=2), "y holds the label -1; expected 0..1"),
        (lambda: noisy_labels(torch.zeros(3, dtype=torch.long), 0.1), "classes is 1"),
        (lambda: noise_matrix(0.1, "lt-asymmetric", classes=3), "give counts"),
        (lambda: noise_matrix(0.1, "lt-asymmetric", counts=np.array([0, 4])), "at least two classes with members"),
        (lambda: noise_matrix(0.1, classes=3, counts=np.array([1, 4])), "a count for each"),
        (lambda: with_label_noise(Table(x=torch.zeros(3)), 0.1), "no column 'y'; it has x"),
    ],
)
def test_what_cannot_be_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
