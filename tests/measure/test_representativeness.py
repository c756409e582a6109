"""Representativeness of attributes: closed forms, invariances and the released code's numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from farfield.errors import InputError
from farfield.measure import (
    ConceptPriors,
    attribute_given_concept,
    attribute_matrix,
    concept_given_attribute,
    concept_priors,
    representativeness,
    triple_importance,
)

OFFICIAL = np.load(Path(__file__).parent / "data" / "bayesian-generalization.npz")
MATRICES = arrays(np.float64, (3, 4), elements=st.floats(0.01, 10))


def official():
    maps = OFFICIAL["activations"]
    concepts, images = maps.shape[:2]
    return maps.reshape(concepts * images, *maps.shape[2:]), np.repeat(np.arange(concepts), images)


def test_the_released_codes_numbers():
    maps, y = official()
    raw = attribute_matrix(maps, y)
    roa = representativeness(raw)
    expected = {
        "raw": raw,
        "p_attr_given_concept": attribute_given_concept(raw),
        "col_1_minus_p_concept_given_attr": 1 - concept_given_attribute(raw),
        "roa": roa,
        "log_roa": representativeness(raw, log=True),
        "attr_entropy": concept_priors(raw).entropy,
        "prior_relatedness": concept_priors(raw).relatedness,
        "prior_analogy": concept_priors(raw).analogy,
        "roa_max": roa.max(1),
        "roa_mean": roa.mean(1),
        "roa_var": roa.var(1, ddof=1),
    }
    for name, values in expected.items():
        assert values == pytest.approx(OFFICIAL[name], rel=1e-5, abs=1e-5), name


def test_two_concepts_by_hand():
    raw = torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    assert attribute_given_concept(raw).tolist() == [pytest.approx([0.75, 0.25]), pytest.approx([0.5, 0.5])]
    assert concept_given_attribute(raw).tolist() == [pytest.approx([0.75, 0.5]), pytest.approx([0.25, 0.5])]
    found = representativeness(raw)
    assert isinstance(found, torch.Tensor)
    assert found.tolist() == [pytest.approx([3, 0.5]), pytest.approx([2 / 3, 1])]


def test_the_matrix_is_the_mean_of_maxima_in_any_order_of_images():
    rng = np.random.default_rng(0)
    maps, y = rng.random((12, 3, 2, 4)), np.array([0, 1, 2, 1] * 3)
    expected = np.stack(
        [[np.mean([m[z].max() for m, c in zip(maps, y) if c == k]) for z in range(3)] for k in range(3)]
    )
    assert attribute_matrix(maps, y) == pytest.approx(expected)
    order = rng.permutation(12)
    assert attribute_matrix(maps[order], y[order]) == pytest.approx(expected)
    assert attribute_matrix(maps.max((2, 3)), y) == pytest.approx(expected)


@settings(deadline=None, max_examples=50)
@given(MATRICES, st.floats(0.1, 10))
def test_scale_of_all_changes_nothing_scale_of_a_concept_only_columns(raw, factor):
    assert attribute_given_concept(raw).sum(1) == pytest.approx(np.ones(3))
    assert concept_given_attribute(raw).sum(0) == pytest.approx(np.ones(4))
    assert (representativeness(raw) > 0).all()
    assert representativeness(factor * raw) == pytest.approx(representativeness(raw), rel=1e-6)
    louder = raw * np.array([[factor], [1], [1]])
    assert attribute_given_concept(louder) == pytest.approx(attribute_given_concept(raw))


def test_limits():
    # One concept alone has the first attribute; the last is dead.
    raw = np.array([[2.0, 2.0, 0.0], [0.0, 4.0, 0.0]])
    found = representativeness(raw)
    assert 1e11 < found[0, 0] < 1e13 and found[1, 0] == 0 and found[:, 2].tolist() == [0, 0]
    assert representativeness(raw, log=True)[1, 0] == -np.inf
    assert representativeness(np.ones((4, 5))) == pytest.approx(np.full((4, 5), (1 / 5) / (1 - 1 / 4)))
    assert attribute_given_concept(np.array([[0.0, 0.0], [1.0, 1.0]]))[0].tolist() == [0, 0]


def test_priors_are_opposite():
    raw = np.random.default_rng(1).random((6, 5))
    found = concept_priors(raw)
    assert isinstance(found, ConceptPriors)
    product = found.relatedness * found.analogy
    assert product == pytest.approx(np.full(6, product[0]))
    assert found.relatedness.sum() == pytest.approx(1) == found.analogy.sum()
    assert found.entropy.argmax() == found.relatedness.argmax() == found.analogy.argmin()
    assert concept_priors(np.eye(3) + 0.0).entropy == pytest.approx(np.zeros(3), abs=1e-9)


def test_triples():
    weights = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    triples, importance = triple_importance(weights)
    assert triples.tolist() == [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]
    assert importance[3] == pytest.approx(0.2 * 0.3 * 0.4 * 0.5 / 1.4)
    with pytest.raises(InputError, match="weights has 0; each must be above 0"):
        triple_importance(np.array([1.0, 0.0, 1.0, 1.0]))


def test_bad_input():
    with pytest.raises(InputError, match="activations has -1; attributes must be at least 0"):
        attribute_matrix(np.array([[1.0, -1.0]]), [0])
    with pytest.raises(InputError, match="concepts has no image of concept 1 of 3"):
        attribute_matrix(np.ones((2, 2)), [0, 2])
    with pytest.raises(InputError, match="activations has 2 rows but concepts has 3"):
        attribute_matrix(np.ones((2, 2)), [0, 0, 1])
    with pytest.raises(InputError, match="expected whole numbers from 0 to 1"):
        attribute_matrix(np.ones((2, 2)), [0, 2], count=2)
    with pytest.raises(InputError, match=r"activations has shape \(2, 2, 2\)"):
        attribute_matrix(np.ones((2, 2, 2)), [0, 1])
    with pytest.raises(InputError, match=r"raw has -0\.5"):
        representativeness(np.array([[1.0, -0.5], [1.0, 1.0]]))
