import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import FeatureDesign, feature_design


def test_a_factorial_design_is_balanced_and_independent():
    a, b = np.repeat([0, 1], 6), np.tile(["x", "y", "z"], 4)
    found = feature_design({"a": a, "b": b})
    assert isinstance(found, FeatureDesign)
    assert found.balance == pytest.approx({"a": 1, "b": 1})
    assert found.association["a", "b"] == pytest.approx(0)


def test_association_is_cramers_v_and_balance_the_relative_entropy():
    a, b = np.array([0] * 6 + [1] * 2), np.array([0, 0, 0, 0, 0, 1, 1, 1])
    found = feature_design({"a": torch.tensor(a), "b": b, "c": a})
    assert found.association["a", "c"] == pytest.approx(1)
    # For two by two, V is the absolute correlation.
    assert found.association["a", "b"] == pytest.approx(abs(np.corrcoef(a, b)[0, 1]))
    assert found.balance["a"] == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)))


def test_a_feature_of_one_value_has_no_balance_and_no_association():
    found = feature_design({"a": np.zeros(4), "b": np.array([0, 1, 0, 1])})
    assert found.balance["a"] == 0 and found.association["a", "b"] == 0


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="at least one feature"):
        feature_design({})
    with pytest.raises(InputError, match="their lengths are"):
        feature_design({"a": np.zeros(3), "b": np.zeros(4)})
    with pytest.raises(InputError, match=r"features\['a'\] has shape \(2, 2\)"):
        feature_design({"a": np.zeros((2, 2))})
    with pytest.raises(InputError, match="not finite, first in row 1"):
        feature_design({"a": np.array([0.0, np.inf])})
