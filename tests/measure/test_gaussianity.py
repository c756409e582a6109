"""Tests of normality against published figures, invariances, and their error rates."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import Gaussianity, gaussianity


def iris():
    from sklearn.datasets import load_iris

    data = load_iris()
    return data.data, data.target


def test_the_published_figures_of_irises():
    # The R package MVN (Korkmaz et al., The R Journal 2014), example on setosa.
    z, y = iris()
    found = gaussianity(z, y)
    assert isinstance(found, Gaussianity) and found.classes.tolist() == [0, 1, 2]
    assert found.skewness[0] == pytest.approx(25.66434, abs=1e-4)
    assert found.skewness_p[0] == pytest.approx(0.1771859, abs=1e-6)
    assert found.kurtosis[0] == pytest.approx(1.294992, abs=1e-5)
    assert found.kurtosis_p[0] == pytest.approx(0.1953229, abs=1e-6)
    assert found.henze_zirkler[0] == pytest.approx(0.9488453, abs=1e-6)
    assert found.henze_zirkler_p[0] == pytest.approx(0.04995356, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_a_linear_map_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    z = rng.gamma(2.0, size=(60, 3))
    a, b = gaussianity(z), gaussianity(z @ (rng.normal(size=(3, 3)) + 3 * np.eye(3)) + 7)
    for name in ("skewness", "kurtosis", "henze_zirkler"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6)


def test_gaussians_are_refused_as_often_as_they_should_be_and_others_nearly_always():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(300), 100)
    gaussian, uniform = (gaussianity(z, y) for z in (rng.normal(size=(30_000, 3)), rng.uniform(size=(30_000, 3))))
    for name in ("skewness_p", "kurtosis_p", "henze_zirkler_p"):
        assert 0.01 < (getattr(gaussian, name) < 0.05).mean() < 0.1, name
    assert (uniform.henze_zirkler_p < 0.05).mean() > 0.7 and (uniform.kurtosis_p < 0.05).mean() > 0.9
    assert (uniform.skewness_p < 0.05).mean() < 0.05  # symmetric


def test_blocks_and_kinds_of_arrays_make_no_difference(monkeypatch):
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    whole = gaussianity(z)
    # The module, which the function of the same name hides.
    monkeypatch.setattr(sys.modules["farfield.measure.gaussianity"], "BLOCK", 200)
    parts = gaussianity(z.numpy(), np.full(50, 3))
    assert parts.classes.tolist() == [3]
    np.testing.assert_allclose(whole.henze_zirkler, parts.henze_zirkler)
    np.testing.assert_allclose(whole.skewness, parts.skewness)


@pytest.mark.parametrize(
    "z, y, sentence",
    [
        (np.eye(4), None, "class 0 has 4 rows that do not span its 4 dimensions"),
        (np.c_[np.random.default_rng(0).normal(size=30), np.ones(30)], None, "do not span"),
        (np.ones((5, 1)), None, "do not span"),
        (np.eye(4), np.zeros(3, int), "z has 4 rows but y has 3"),
    ],
)
def test_what_cannot_be_is_refused(z, y, sentence):
    with pytest.raises(InputError, match=sentence):
        gaussianity(z, y)
