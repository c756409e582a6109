import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import linear_cka


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def by_loop(x, y):
    """Through the centred n x n kernels (Kornblith et al., equation 5), element by element."""
    n = len(x)
    h = np.eye(n) - 1 / n
    k, m = h @ (x @ x.T) @ h, h @ (y @ y.T) @ h

    def hsic(a, b):
        return sum(a[i, j] * b[i, j] for i in range(n) for j in range(n))

    return hsic(k, m) / (hsic(k, k) * hsic(m, m)) ** 0.5


@pytest.mark.parametrize("n, d1, d2", [(30, 4, 6), (8, 20, 5), (8, 20, 30), (5, 5, 5)])
def test_it_equals_the_kernels_definition_on_either_side_of_n(n, d1, d2):
    x, y = draw(n, d1, 0), draw(n, d2, 1)
    assert linear_cka(x, y) == pytest.approx(by_loop(x, y), rel=1e-9)
    assert linear_cka(y, x) == pytest.approx(linear_cka(x, y))


@given(st.floats(0.01, 100), st.floats(-10, 10), st.integers(0, 50))
def test_rotation_scale_and_shift_change_nothing(scale, shift, seed):
    x, y = draw(20, 4, seed), draw(20, 3, seed + 100)
    rotation, _ = np.linalg.qr(draw(4, 4, seed + 200))
    assert linear_cka(scale * x @ rotation + shift, y) == pytest.approx(linear_cka(x, y), rel=1e-6)
    assert linear_cka(x, scale * x @ rotation + shift) == pytest.approx(1)


def test_an_invertible_map_that_is_no_rotation_does_change_it():
    x = draw(20, 2)
    assert linear_cka(x, x * [1.0, 10.0]) < 0.9


def test_uncorrelated_columns_have_none():
    x, y = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert linear_cka(x, y) == pytest.approx(0)


def test_one_column_each_is_the_squared_correlation():
    x, y = draw(15, 1, 0), draw(15, 1, 1)
    assert linear_cka(x, y) == pytest.approx(np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2)


def test_tensors_with_gradients_and_tiny_or_huge_values_are_read():
    x = torch.randn(10, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert linear_cka(x, x.detach().numpy()) == pytest.approx(1)
    big = draw(10, 3) * 1e200
    assert linear_cka(big, big * 1e-300) == pytest.approx(1)
    assert isinstance(linear_cka(x, x), float)


def test_bad_arguments_are_refused():
    x = draw(5, 2)
    with pytest.raises(InputError, match="x has 5 rows but y has 4"):
        linear_cka(x, x[:4])
    with pytest.raises(InputError, match="all rows of y are the same"):
        linear_cka(x, np.ones((5, 2)))
    with pytest.raises(InputError, match="x holds a value that is not finite, first in row 3"):
        linear_cka(np.where(np.arange(5)[:, None] == 3, np.nan, x), x)
    with pytest.raises(InputError, match=r"y has shape \(5,\)"):
        linear_cka(x, x[:, 0])
    with pytest.raises(InputError, match="n at least 2"):
        linear_cka(x[:1], x[:1])
