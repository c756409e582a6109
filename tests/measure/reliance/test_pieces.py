from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import linear_pieces
from farfield.tasks import SlabBlocks


def test_blocks_need_as_many_regions_as_they_are_named_after():
    data = SlabBlocks(2000, ["linear", 3, 5, 7], rotate=False)
    assert [linear_pieces(data.x[:, i], data.y) for i in range(4)] == [2, 3, 5, 7]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(0, 50))
def test_regions_are_runs_of_labels_in_any_order_of_the_rows(labels, seed):
    y = np.array(labels)
    order = np.random.default_rng(seed).permutation(len(y))
    runs = 1 + sum(a != b for a, b in pairwise(labels))
    x = np.arange(len(y)) ** 3.0
    assert linear_pieces(x[order], y[order]) == runs == linear_pieces(-x[order], y[order])


def test_equal_values_count_once_and_two_labels_of_one_value_are_refused():
    assert linear_pieces(torch.tensor([1.0, 1.0, 2.0]), torch.tensor([0, 0, 1])) == 2
    with pytest.raises(InputError, match="x has the value 2 with two labels"):
        linear_pieces(np.array([1.0, 2.0, 3.0, 2.0]), np.array([0, 1, 0, 0]))
    with pytest.raises(InputError, match="x has 2 rows but y has 1"):
        linear_pieces(np.zeros(2), np.zeros(1))
