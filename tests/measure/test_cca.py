import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import canonical_correlations, cca


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("d1, d2", [(3, 3), (2, 5), (6, 4)])
def test_it_equals_the_eigenvalues_of_the_definition(d1, d2):
    x, y = draw(50, d1), draw(50, d2, 1)
    y[:, 0] += 2 * x[:, 0]
    xc, yc = x - x.mean(0), y - y.mean(0)
    sxx, syy, sxy = xc.T @ xc, yc.T @ yc, xc.T @ yc
    squared = np.linalg.eigvals(np.linalg.solve(sxx, sxy) @ np.linalg.solve(syy, sxy.T)).real
    expected = np.sqrt(np.sort(squared)[::-1][: min(d1, d2)])
    np.testing.assert_allclose(canonical_correlations(x, y), expected, atol=1e-10)
    assert cca(x, y) == pytest.approx(np.mean(expected**2)) and cca(y, x) == pytest.approx(cca(x, y))


@settings(deadline=None)
@given(st.integers(0, 100), st.floats(-50, 50))
def test_invertible_maps_and_shifts_change_nothing(seed, shift):
    x, y = draw(30, 3, seed), draw(30, 4, seed + 500)
    mix = draw(3, 3, seed + 900) + 3 * np.eye(3)
    if np.linalg.cond(mix) < 1e3:
        assert cca(x @ mix + shift, y) == pytest.approx(cca(x, y), abs=1e-8)
    assert 0 <= cca(x, y) <= 1


def test_one_column_each_is_the_squared_correlation():
    x, y = draw(20, 1), draw(20, 1, 1)
    assert cca(x, y) == pytest.approx(np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2)


def test_a_linear_function_of_the_other_has_1_and_uncorrelated_columns_0():
    x = draw(30, 4)
    assert cca(x, x @ draw(4, 2, 1)) == pytest.approx(1)
    x, y = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert cca(x, y) == pytest.approx(0, abs=1e-12)


def test_columns_that_others_add_up_to_and_constant_ones_make_no_direction():
    x, y = draw(40, 2), draw(40, 3, 1)
    more = np.hstack([x, x.sum(1, keepdims=True), np.full((40, 1), 5.0)])
    assert canonical_correlations(more, y).shape == (2,)
    assert cca(more, y) == pytest.approx(cca(x, y))


def test_columns_of_very_different_sizes_all_count():
    x, y = draw(40, 2), draw(40, 2, 1)
    assert cca(x * [1e-12, 1e9], y) == pytest.approx(cca(x, y))


def test_with_as_many_directions_as_rows_all_are_1():
    np.testing.assert_allclose(canonical_correlations(draw(6, 9), draw(6, 2, 1)), 1)


def test_less_of_the_variance_compares_the_first_principal_components():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(200, 2))
    # Small directions of pure noise lower the mean, until they are left out.
    x = np.hstack([10 * shared, 0.1 * rng.normal(size=(200, 5))])
    y = np.hstack([10 * shared[:, ::-1], 0.1 * rng.normal(size=(200, 5))])
    assert canonical_correlations(x, y, variance_kept=0.99).shape == (2,)
    assert cca(x, y, variance_kept=0.99) == pytest.approx(1, abs=1e-3)
    assert cca(x, y) < 0.5
    # By hand: the first principal component of each.
    first = [np.linalg.svd(v - v.mean(0), full_matrices=False)[0][:, 0] for v in (x, y)]
    assert cca(x, y, variance_kept=0.2) == pytest.approx((first[0] @ first[1]) ** 2)


def test_tensors_come_back_as_tensors():
    x = torch.randn(10, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert isinstance(canonical_correlations(x, x), torch.Tensor)
    assert isinstance(canonical_correlations(draw(5, 1), draw(5, 1)), np.ndarray)
    assert isinstance(cca(x, x), float)


def test_bad_arguments_are_refused():
    x = draw(5, 2)
    for share in (0, 1.1, float("nan")):
        with pytest.raises(InputError, match=f"variance_kept is {share}"):
            cca(x, x, variance_kept=share)
    with pytest.raises(InputError, match="x has 5 rows but y has 4"):
        cca(x, x[:4])
    with pytest.raises(InputError, match="all rows of y are the same"):
        cca(x, np.ones((5, 2)))
    with pytest.raises(InputError, match="n at least 2"):
        cca(x[:1], x[:1])
