"""Accuracy by class size, against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import balanced_accuracy, class_groups, group_accuracy


@given(st.integers(0, 1000))
def test_it_is_scikit_learns_balanced_accuracy(seed):
    from sklearn.metrics import recall_score

    rng = np.random.default_rng(seed)
    predicted, y = rng.integers(4, size=(2, 50))
    expected = recall_score(y, predicted, average="macro", labels=np.unique(y))
    assert balanced_accuracy(predicted, y) == pytest.approx(expected)


def test_a_common_class_counts_no_more_than_a_rare_one():
    y = torch.tensor([0] * 98 + [1] * 2)
    assert balanced_accuracy(torch.zeros(100, dtype=torch.long), y) == 0.5
    assert balanced_accuracy(y, y) == 1.0


def test_groups_by_hand():
    y = torch.tensor([0, 0, 0, 1, 1, 2, 4])
    predicted = torch.tensor([0, 0, 1, 1, 0, 3, 4])
    found = group_accuracy(predicted, y, {"many": [0, 1], "medium": [2, 3], "few": (4,), "other": [7], "none": []})
    assert found == pytest.approx({"many": (2 / 3 + 1 / 2) / 2, "medium": 0.0, "few": 1.0})


def test_class_groups():
    sizes = torch.tensor([100, 101, 20, 19, 0])
    assert class_groups(sizes, many=100, few=20) == {"many": (1,), "medium": (0, 2), "few": (3, 4)}
    thirds = class_groups(np.array([5, 50, 500, 387, 299, 232, 179, 139, 107, 83]))
    assert thirds == {"many": (2, 3, 4, 5), "medium": (6, 7, 8), "few": (0, 1, 9)}


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: class_groups(torch.ones(3), many=100), "give both limits"),
        (lambda: class_groups(torch.ones(3), many=1, few=2), "few must not be above many"),
        (lambda: balanced_accuracy(torch.ones(3), torch.ones(2)), "predicted has 3 rows but y has 2"),
    ],
)
def test_what_cannot_be_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
