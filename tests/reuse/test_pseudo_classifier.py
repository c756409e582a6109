"""Class means of old vectors as a classifier: closed forms."""

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.reuse import pseudo_classifier


def test_one_row_of_each_class_is_the_classifier():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    found = pseudo_classifier(x, np.array([2, 0, 3, 1]), 4)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, x[[1, 3, 0, 2]])


def test_means_are_not_brought_to_length_one():
    x = torch.nn.functional.normalize(torch.randn(30, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    y = torch.arange(30) % 3
    found = pseudo_classifier(x, y, 3)
    for k in range(3):
        torch.testing.assert_close(found[k], x[y == k].mean(0))
    assert (found.norm(dim=1) < 0.9).all()


def test_input_that_does_not_fit():
    x = np.ones((2, 3))
    with pytest.raises(InputError, match="y holds labels from 0 to 2; expected from 0 to num_classes - 1 = 1"):
        pseudo_classifier(x, np.array([0, 2]), 2)
    with pytest.raises(InputError, match="class 1 has no row; each of 3 classes"):
        pseudo_classifier(x, np.array([0, 2]), 3)
    with pytest.raises(InputError, match="features has 2 rows but y has 3"):
        pseudo_classifier(x, np.zeros(3, int), 1)
