"""What prefixes are worth: the released code's margin scores, closed forms, faiss's exact search as a peer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import (
    expected_dimension,
    hit_rate_at_k,
    margin_score,
    nested_accuracy,
    nested_knn,
    oracle_accuracy,
)
from farfield.measure.retrieval import nested

ORACLE = np.load(Path(__file__).parents[2] / "data" / "matryoshka.npz", allow_pickle=False)


def test_the_released_codes_margin_scores():
    found = margin_score(ORACLE["mrl_logits"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ORACLE["margin_score"], atol=1e-5)


def test_the_margin_of_equal_and_of_certain_classes():
    assert margin_score(torch.tensor([[0.0, 0.0, -50.0], [40.0, 0.0, 0.0]])).tolist() == pytest.approx([1, 0], abs=1e-6)


def test_accuracy_of_each_size():
    logits = ORACLE["mrl_logits"]
    expected = (logits.argmax(2) == ORACLE["y"]).mean(1)
    assert nested_accuracy(logits, ORACLE["y"]) == pytest.approx(tuple(expected))
    assert len(set(expected)) > 1
    assert nested_accuracy([torch.from_numpy(each) for each in logits], torch.from_numpy(ORACLE["y"])) == tuple(
        expected
    )


@pytest.mark.parametrize("block", [nested.BLOCK, 200])
def test_one_nearest_neighbour_is_that_of_exact_search(block, monkeypatch):
    faiss = pytest.importorskip("faiss")
    monkeypatch.setattr(nested, "BLOCK", block)
    rng = np.random.default_rng(0)
    train, test = (rng.normal(size=(n, 8)).astype(np.float32) for n in (150, 90))
    y_train, y_test = (rng.integers(3, size=n) for n in (150, 90))
    expected = []
    for m in (2, 8, 5):
        index = faiss.IndexFlatL2(m)
        index.add(np.ascontiguousarray(train[:, :m] / np.linalg.norm(train[:, :m], axis=1, keepdims=True)))
        units = test[:, :m] / np.linalg.norm(test[:, :m], axis=1, keepdims=True)
        found = index.search(np.ascontiguousarray(units), 1)[1]
        expected.append(hit_rate_at_k(y_train[found], y_test, 1))
    assert nested_knn(train, y_train, test, y_test, dims=[2, 8, 5]) == pytest.approx(expected)


def test_the_cut_comes_before_the_length():
    train, labels = np.array([[3.0, 0.1, 0.0], [0.5, 0.5, 9.0]]), np.array([0, 1])
    # By two dimensions (1, 1) has the direction of the second row, whose first two values are small.
    assert nested_knn(train, labels, np.array([[1.0, 1.0, 0.0]]), np.array([1]), dims=[2]) == (1.0,)


def test_a_prefix_of_zeros_is_at_distance_one():
    train, labels = np.array([[0.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    # From (1, 0) the zeros are nearer (1) than (0, 1) (sqrt 2); from (0.8, 0.6) they are farther (1 against sqrt 0.8).
    assert nested_knn(train, labels, np.array([[1.0, 0.0], [0.8, 0.6]]), np.array([0, 1]), dims=[2]) == (1.0,)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_an_oracle_is_at_least_as_good_as_the_best_size(seed):
    rng = np.random.default_rng(seed)
    preds, y = rng.integers(3, size=(4, 12)), rng.integers(3, size=12)
    right = preds == y
    assert right.mean(1).max() - 1e-12 <= oracle_accuracy(preds, y) <= right.mean(1).sum() + 1e-12
    assert oracle_accuracy(preds[:1], y) == pytest.approx(right[0].mean())


def test_dimensions_used():
    assert expected_dimension(ORACLE["casc_level_used"], ORACLE["nesting"]) == pytest.approx(
        float(ORACLE["casc_expected_dim"])
    )


def test_input_that_does_not_fit():
    rows, y = np.eye(3), np.arange(3)
    with pytest.raises(InputError, match="logits is empty"):
        nested_accuracy([], y)
    with pytest.raises(InputError, match="y holds labels from 0 to 2; logits has 2 classes"):
        nested_accuracy([rows[:, :2]], y)
    with pytest.raises(InputError, match="train has 3 dimensions but test 2"):
        nested_knn(rows, y, rows[:, :2], y, dims=[1])
    with pytest.raises(InputError, match=r"dims is \[4\]; the vectors have 3 dimensions"):
        nested_knn(rows, y, rows, y, dims=[4])
    with pytest.raises(InputError, match="train has 3 rows but y_train has 2"):
        nested_knn(rows, y[:2], rows, y, dims=[1])
    with pytest.raises(InputError, match="levels go from 0 to 2; nesting has 2 sizes"):
        expected_dimension(y, [2, 4])
    with pytest.raises(InputError, match="at least two classes"):
        margin_score(rows[:, :1])
    with pytest.raises(InputError, match="preds has 2 rows but y has 3"):
        oracle_accuracy(np.zeros((4, 2), int), y)
