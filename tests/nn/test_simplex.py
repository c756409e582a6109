"""The fixed simplex: its angles, the released code's vertices, and what cross-entropy can reach on it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.nn import SimplexClassifier, simplex_vertices

ORACLE = np.load(Path(__file__).parents[1] / "data" / "stationary-representations.npz", allow_pickle=False)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 120))
def test_angles_are_those_of_a_regular_simplex(k):
    w = simplex_vertices(k)
    assert w.shape == (k, k - 1) and w.dtype == torch.float32
    gram = torch.full((k, k), -1 / (k - 1)).fill_diagonal_(1)
    torch.testing.assert_close(w @ w.T, gram, atol=1e-5, rtol=0)
    torch.testing.assert_close(w.sum(0), torch.zeros(k - 1), atol=1e-5, rtol=0)


def test_two_classes_are_opposite():
    assert simplex_vertices(2, dtype=torch.float64).tolist() == [[1.0], [-1.0]]


@pytest.mark.parametrize("k", [2, 3, 4, 11])
def test_vertices_are_those_of_the_released_code(k):
    np.testing.assert_allclose(simplex_vertices(k).numpy(), ORACLE[f"simplex_{k}"], atol=1e-6)


@pytest.mark.parametrize(("length", "expected"), [(1.0, 5.9322), (10.0, 0.04497)])
def test_features_of_length_one_cannot_fit_many_classes(length, expected):
    classifier, y = SimplexClassifier(1024), torch.arange(5)
    found = cross_entropy(classifier(length * classifier.weight[y]), y)
    assert found.item() == pytest.approx(expected, abs=5e-5)


def test_cross_entropy_of_the_released_code():
    z, y = (torch.from_numpy(ORACLE[name]) for name in ("feat_new_raw", "targets_reversed"))
    found = cross_entropy(SimplexClassifier(z.shape[1] + 1)(z), y)
    assert found.item() == pytest.approx(ORACLE["ce_fixed"].item(), abs=1e-5)


def test_only_the_junction_is_trained():
    classifier = SimplexClassifier(5, in_features=3)
    assert [(name, tuple(p.shape)) for name, p in classifier.named_parameters()] == [("junction.weight", (4, 3))]
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(classifier(x), classifier.features(x) @ classifier.weight.T)
    # Without a need for it there is none; the vertices are saved with the model either way.
    same = SimplexClassifier(5, in_features=4)
    assert not list(same.parameters()) and "weight" in same.state_dict()
    assert torch.equal(same.features(x[:, :2]), x[:, :2])


@pytest.mark.parametrize(("arguments", "says"), [((1,), "num_classes is 1"), ((3, 0), "in_features is 0")])
def test_bad_sizes_are_named(arguments, says):
    with pytest.raises(InputError, match=says):
        SimplexClassifier(*arguments)
