"""Cutting embeddings: what is kept, and the length afterwards."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.reuse import truncate

Z = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


@settings(deadline=None)
@given(st.integers(1, 8))
def test_a_prefix_of_length_one(m):
    found = truncate(Z, m)
    assert found.shape == (5, m) and found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found * np.linalg.norm(Z[:, :m], axis=1, keepdims=True), Z[:, :m], rtol=1e-5)


def test_normalising_comes_after_the_cut():
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    np.testing.assert_allclose(truncate(unit, 3), truncate(Z, 3), rtol=1e-5)
    assert not np.allclose(truncate(Z, 3), unit[:, :3], atol=0.05)


def test_without_it_nothing_is_scaled_and_nothing_shared():
    z = torch.from_numpy(Z.copy())
    found = truncate(z, 2, normalize=False)
    assert torch.equal(found, z[:, :2])
    found.zero_()
    assert z[:, :2].abs().min() > 0


def test_zeros_stay_zeros():
    assert truncate(np.array([[0.0, 0.0, 1.0]]), 2).tolist() == [[0.0, 0.0]]


def test_input_that_does_not_fit():
    for m in (0, 9):
        with pytest.raises(InputError, match=f"m is {m}; z has 8 dimensions"):
            truncate(Z, m)
    with pytest.raises(InputError, match="not finite, first in row 1"):
        truncate(np.array([[1.0], [np.nan]]), 1)
