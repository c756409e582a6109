"""A cascade of sizes: the released code's thresholds and answers, limit cases, and thresholds against a slow search."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import expected_dimension
from farfield.reuse import CascadeClassifier

ORACLE = np.load(Path(__file__).parents[1] / "data" / "matryoshka.npz", allow_pickle=False)
PROBS, Y = ORACLE["casc_probs"], ORACLE["casc_labels"]


def draw(seed, sizes=3, n=40, classes=4):
    logits = np.random.default_rng(seed).normal(size=(sizes, n, classes)) * 2
    probs = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    return probs, np.random.default_rng(seed + 1).integers(classes, size=n)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_the_released_codes_thresholds_and_answers(kind):
    cascade = CascadeClassifier().fit(kind(PROBS), kind(Y))
    np.testing.assert_allclose(cascade.thresholds, ORACLE["casc_thresholds"])
    labels, level = cascade.predict(kind(PROBS))
    assert type(labels) is type(level) is type(kind(Y))
    np.testing.assert_array_equal(level, ORACLE["casc_level_used"])
    assert (np.asarray(labels) == Y).mean() == pytest.approx(float(ORACLE["casc_accuracy"]))
    assert expected_dimension(level, ORACLE["nesting"]) == pytest.approx(float(ORACLE["casc_expected_dim"]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_thresholds_are_those_of_a_search_over_the_grid(seed):
    probs, y = draw(seed)
    grid = np.linspace(0.1, 1, 100)
    confidence, right = probs.max(2), probs.argmax(2) == y
    for i, found in enumerate(CascadeClassifier().fit(probs, y).thresholds):
        accuracies = [np.where(confidence[i] > t, right[i], right[i + 1]).mean() for t in grid]
        assert found == grid[int(np.argmax(accuracies))]


def test_a_confidence_that_equals_a_threshold_is_not_above_it():
    probs = np.array([[[0.5, 0.5]], [[0.25, 0.75]]])
    assert CascadeClassifier([0.5]).predict(probs)[1].tolist() == [1]
    assert CascadeClassifier([0.49]).predict(probs)[1].tolist() == [0]


def test_thresholds_of_zero_and_one():
    probs, _ = draw(0)
    labels, level = CascadeClassifier([0, 0]).predict(probs)
    assert (level == 0).all() and (labels == probs[0].argmax(1)).all()
    labels, level = CascadeClassifier([1, 1]).predict(probs)
    assert (level == 2).all() and (labels == probs[2].argmax(1)).all()


def test_a_later_confident_size_does_not_answer_for_an_earlier_one():
    sure, torn = [0.9, 0.1], [0.45, 0.55]
    probs = np.array([[sure, torn], [torn, sure], [sure, sure]])
    labels, level = CascadeClassifier([0.8, 0.8]).predict(probs)
    assert level.tolist() == [0, 1] and labels.tolist() == [0, 0]


def test_cut_at_a_smaller_size_it_ends_there():
    cascade = CascadeClassifier().fit(PROBS, Y)
    labels, level = cascade.predict(PROBS[:2])
    whole = cascade.predict(PROBS)[1]
    np.testing.assert_array_equal(level, np.minimum(whole, 1))
    np.testing.assert_array_equal(labels[level == 1], PROBS[1].argmax(1)[level == 1])


def test_input_that_does_not_fit():
    with pytest.raises(InputError, match="call fit first"):
        CascadeClassifier().predict(PROBS)
    with pytest.raises(InputError, match=r"give softmax\(logits\)"):
        CascadeClassifier().fit(np.log(PROBS), Y)
    with pytest.raises(InputError, match="probs holds 60 rows but y 59"):
        CascadeClassifier().fit(PROBS, Y[1:])
    with pytest.raises(InputError, match="probs has 6 classes"):
        CascadeClassifier().fit(PROBS, Y + 1)
    with pytest.raises(InputError, match="holds one size"):
        CascadeClassifier().fit(PROBS[:1], Y)
    with pytest.raises(InputError, match="probs holds 4 sizes; the cascade has 2"):
        CascadeClassifier([0.5]).predict(PROBS)
    with pytest.raises(InputError, match="expected numbers from 0 to 1"):
        CascadeClassifier([1.5])
