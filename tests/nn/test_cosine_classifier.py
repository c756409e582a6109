"""Logits by angles."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.nn import CosineClassifier

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_lengths_of_features_and_class_vectors_play_no_role(features, vectors):
    classifier = CosineClassifier(4, 3)
    logits = classifier(X)
    with torch.no_grad():
        classifier.weight.mul_(vectors)
    assert torch.allclose(classifier(features * X), logits, atol=1e-3)


def test_logits_are_scaled_cosines():
    classifier = CosineClassifier(4, 3, scale=7.0, seed=2)
    for x, row in zip(X, classifier(X)):
        for w, logit in zip(classifier.weight, row):
            assert torch.allclose(logit, 7 * (x @ w) / (x.norm() * w.norm()), atol=1e-5)
    assert float(classifier(X).detach().abs().max()) <= 7


def test_zeros_have_no_preference_and_the_seed_decides():
    assert not CosineClassifier(4, 3)(torch.zeros(1, 4)).detach().any()
    assert torch.equal(CosineClassifier(4, 3, seed=1).weight, CosineClassifier(4, 3, seed=1).weight)
    assert not torch.equal(CosineClassifier(4, 3, seed=1).weight, CosineClassifier(4, 3, seed=2).weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 2), "d is 0"), ((2, 0), "classes 0"), ((2, 2, 0.0), "scale is 0.0"), ((2, 2, float("nan")), "scale is nan")],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        CosineClassifier(*arguments)
