import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import feature_design
from farfield.tasks import StringFeatures


def by_hand(row):
    return [int(row[0] < 8), int(3 in row), row.count(5) % 2, int(row[4] == row[8])]


def test_labels_are_the_features_of_the_strings():
    data = StringFeatures(320, seed=0)
    assert data.names == ("first", "contains", "parity", "match")
    assert data.x.shape == (320, 12) and data.x.min() == 0 and data.x.max() == 15
    assert data.y.tolist() == [by_hand(row) for row in data.x.tolist()]


@pytest.mark.parametrize("n", [320, 333, 5])
def test_all_combinations_come_up_equally_often_up_to_one(n):
    data = StringFeatures(n, seed=1)
    counts = np.unique(data.y.numpy() @ (1 << np.arange(4)), return_counts=True)[1].tolist()
    counts += [0] * (16 - len(counts))
    assert max(counts) - min(counts) <= 1 and sum(counts) == n
    if n == 320:
        assert max(feature_design(data.features()).association.values()) == pytest.approx(0, abs=1e-12)


def test_combinations_are_in_no_order():
    y = StringFeatures(1600, seed=0).y
    assert y[:800].double().mean(0).tolist() == pytest.approx([0.5] * 4, abs=0.06)


def test_sequences_hold_string_separator_and_values_in_order():
    data = StringFeatures(40, {"a": ("contains", 3), "b": ("contains", 5)}, seed=0)
    for order in (["a", "b"], ["b", "a"]):
        sequences = data.sequences(order)
        assert torch.equal(sequences[:, :12], data.x)
        assert (sequences[:, 12] == data.separator).all() and data.separator == 16
        values = torch.stack([data.features()[name] for name in order], 1)
        assert torch.equal(sequences[:, 13:], values + 17)
        assert sequences.max() == data.vocabulary - 1
    assert torch.equal(data.sequences(), data.sequences(["a", "b"]))
    for order in (["a"], ["a", "a"], ["a", "c"]):
        with pytest.raises(InputError, match="must name each of"):
            data.sequences(order)


def test_two_features_of_one_kind_are_alike():
    data = StringFeatures(4000, {"a": ("contains", 3), "b": ("contains", 5)}, seed=0)
    assert (data.x == 3).sum(1)[data.y[:, 0] == 1].double().mean().item() == pytest.approx(
        (data.x == 5).sum(1)[data.y[:, 1] == 1].double().mean().item(), abs=0.05
    )


def test_the_seed_decides():
    a, b, c = (StringFeatures(40, seed=s).x for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize(
    "features, message",
    [
        ({}, "one feature"),
        ({"a": ("contain", 3)}, "unknown kind of the feature 'a' 'contain'; nearest: contains"),
        ({"a": ("contains", 16)}, "contains takes 1 different token"),
        ({"a": ("class", 12)}, r"class takes 1 different position\(s\) from 0 to 11"),
        ({"a": ("match", 2, 2)}, "match takes 2 different position"),
        ({"a": ("contains",)}, "contains takes 1"),
        ({"a": "contains"}, "expected a kind and its arguments"),
        ({"a": ("contains", 3), "b": ("contains", 3)}, "are too rare: 0 in"),
    ],
)
def test_bad_features_are_refused(features, message):
    with pytest.raises(InputError, match=message):
        StringFeatures(20, features)


def test_bad_sizes_are_refused():
    for arguments in ({"n": 0}, {"n": 4, "letters": 1}, {"n": 4, "length": 0}):
        with pytest.raises(InputError, match="expected at least one row, two letters"):
            StringFeatures(**arguments)
