import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes

from farfield.errors import InputError
from farfield.measure import procrustes_distance


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def normalised(x):
    x = x - x.mean(0)
    return x / np.linalg.norm(x)


@pytest.mark.parametrize("n, d1, d2", [(20, 3, 3), (20, 5, 2), (6, 10, 10), (6, 4, 15)])
def test_it_is_what_is_left_after_turning_one_onto_the_other(n, d1, d2):
    x, y = normalised(draw(n, d1)), normalised(draw(n, d2, 1))
    wide = max(d1, d2)
    x, y = (np.pad(v, [(0, 0), (0, wide - v.shape[1])]) for v in (x, y))
    turn, _ = orthogonal_procrustes(y, x)
    assert procrustes_distance(draw(n, d1), draw(n, d2, 1)) == pytest.approx(np.linalg.norm(x - y @ turn))


@settings(deadline=None)
@given(st.integers(0, 100), st.floats(0.01, 100), st.floats(-20, 20))
def test_rotation_scale_and_shift_change_nothing(seed, scale, shift):
    x, y = draw(15, 3, seed), draw(15, 4, seed + 300)
    turn, _ = np.linalg.qr(draw(3, 3, seed + 600))
    moved = scale * x @ turn + shift
    assert procrustes_distance(moved, y) == pytest.approx(procrustes_distance(x, y), abs=1e-7)
    assert procrustes_distance(moved, x) == pytest.approx(0, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 100))
def test_it_is_a_metric_up_to_the_square_root_of_2(seed):
    x, y, z = (draw(8, d, seed + 1000 * d) for d in (2, 3, 4))
    xy, yz, xz = procrustes_distance(x, y), procrustes_distance(y, z), procrustes_distance(x, z)
    assert xy == pytest.approx(procrustes_distance(y, x)) and xz <= xy + yz + 1e-9
    assert 0 < xy < 2**0.5


def test_uncorrelated_columns_are_the_farthest_apart():
    x, y = np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert procrustes_distance(x, y) == pytest.approx(2**0.5)


def test_one_column_each_follows_from_the_correlation():
    x, y = draw(20, 1), draw(20, 1, 1)
    r = abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1])
    assert procrustes_distance(x, y) == pytest.approx((2 - 2 * r) ** 0.5)


def test_an_invertible_map_that_is_no_rotation_does_change_it():
    x = draw(20, 2)
    assert procrustes_distance(x, x * [1.0, 10.0]) > 0.3


def test_tensors_and_huge_values_are_read():
    x = torch.randn(10, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert procrustes_distance(x, x.detach().numpy()) == pytest.approx(0, abs=1e-7)
    big = draw(10, 3) * 1e200
    assert procrustes_distance(big, big * 1e-300) == pytest.approx(0, abs=1e-7)


def test_bad_arguments_are_refused():
    x = draw(5, 2)
    with pytest.raises(InputError, match="x has 5 rows but y has 4"):
        procrustes_distance(x, x[:4])
    with pytest.raises(InputError, match="all rows of x are the same"):
        procrustes_distance(np.ones((5, 2)), x)
    with pytest.raises(InputError, match="n at least 2"):
        procrustes_distance(x[:1], x[:1])
