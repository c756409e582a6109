import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from farfield.errors import InputError
from farfield.measure import macro_f1

labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@given(labels)
def test_equals_scikit_learn(pairs):
    y, predicted = np.array(pairs).T
    assert macro_f1(y, predicted) == pytest.approx(f1_score(y, predicted, average="macro", zero_division=0))


def test_limits_and_kinds_of_arrays():
    y = np.array([0, 1, 2, 2])
    assert macro_f1(y, y) == 1 and macro_f1(y, (y + 1) % 3) == 0
    assert macro_f1(torch.from_numpy(y), np.array([0, 1, 2, 1])) == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    # A classifier that always says the frequent class: accuracy 0.9, macro-F1 below a half.
    rare = np.repeat([0, 1], [90, 10])
    assert macro_f1(rare, np.zeros(100, int)) == pytest.approx(180 / 190 / 2)


@pytest.mark.parametrize("bad", [[0, -1], [0, 0.5]])
def test_bad_labels_are_named(bad):
    with pytest.raises(InputError, match="predicted holds negative"):
        macro_f1(np.array([0, 1]), np.array(bad))
    with pytest.raises(InputError, match="same examples"):
        macro_f1(np.array([0, 1]), np.array([0, 1, 1]))
