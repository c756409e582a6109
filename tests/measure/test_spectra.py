"""Spectrum of a representation: closed forms, an independent route, invariances, and limits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import Spectrum, spectrum


def cloud(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ np.diag(1.0 + np.arange(d)) @ rng.normal(size=(d, d))


@pytest.mark.parametrize(("n", "d"), [(50, 7), (7, 50), (8, 8)])
def test_variances_are_those_of_the_singular_values(n, d):
    x = cloud(n, d)
    singular = np.linalg.svd(x - x.mean(0), compute_uv=False)
    np.testing.assert_allclose(spectrum(x).variances, singular**2 / (n - 1), atol=1e-8 * singular[0] ** 2)


def test_chunks_and_types_change_nothing():
    x = cloud(101, 5)
    whole = spectrum(x).variances
    torch.testing.assert_close(spectrum(x, chunk=7).variances, whole)
    torch.testing.assert_close(spectrum(torch.from_numpy(x)).variances, whole)
    torch.testing.assert_close(spectrum(x.astype("float32")).variances, whole, rtol=1e-5, atol=1e-5)


def test_closed_forms():
    shares = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    found = Spectrum(8 * shares)
    assert found.participation_ratio == pytest.approx(1 / (0.25 + 0.0625 + 0.0625))
    assert found.effective_rank == pytest.approx(2**1.5)
    assert [found.dimensions_for(share) for share in (0.5, 0.51, 0.75, 1)] == [1, 2, 2, 3]


@given(st.integers(2, 30), st.integers(1, 20), st.floats(1e-3, 1e3), st.integers(0, 99))
def test_scale_shift_and_rotation_change_no_dimension(n, d, scale, seed):
    x = np.random.default_rng(seed).normal(size=(n, d))
    rotation = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(d, d)))[0]
    one, other = spectrum(x), spectrum(scale * x @ rotation + 3)
    for name in ("participation_ratio", "effective_rank"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-5)
        assert 1 - 1e-9 <= getattr(one, name) <= min(n - 1, d) + 1e-9


def test_a_line_has_one_dimension_and_copies_of_columns_add_none():
    line = np.outer(np.arange(9.0), [1.0, 2.0, -1.0])
    found = spectrum(line)
    assert found.participation_ratio == pytest.approx(1) and found.effective_rank == pytest.approx(1)
    assert found.variances[1:].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((5, 2)), "all rows of x are the same"),
        (np.ones((2, 5)), "all rows of x are the same"),
        (np.ones((1, 3)), r"shape \(1, 3\)"),
        (np.ones(3), r"shape \(3,\)"),
        (np.array([[0.0], [1.0], [2.0], [np.nan]]), "not finite, first in row 3"),
    ],
)
def test_bad_input(x, message):
    with pytest.raises(InputError, match=message):
        spectrum(x, chunk=2)


def test_bad_arguments():
    with pytest.raises(InputError, match="chunk is 0"):
        spectrum(np.eye(3), chunk=0)
    with pytest.raises(InputError, match=r"share is 1.5"):
        spectrum(np.eye(3)).dimensions_for(1.5)
