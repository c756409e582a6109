import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import nearest_distances


def by_loop(x, k):
    """All differences, element by element."""
    x = np.asarray(x, dtype=float)
    rows = []
    for i in range(len(x)):
        others = np.delete(x, i, axis=0)
        rows.append(np.sort(np.sqrt(((others - x[i]) ** 2).sum(1)))[:k])
    return np.array(rows)


def draw(kind, n, d, seed=0):
    g = np.random.default_rng(seed)
    if kind == "normal":
        return g.normal(size=(n, d))
    if kind == "few directions":
        return g.normal(size=(n, 3)) @ g.normal(size=(3, d)) + 1e-6 * g.normal(size=(n, d))
    if kind == "far clusters":  # within a cluster, float32 products see nothing but zeros
        return 1e-4 * g.normal(size=(n, d)) + 100 * g.normal(size=(5, d))[g.integers(5, size=n)]
    if kind == "shifted":
        return g.normal(size=(n, d)) + 1e6
    if kind == "line":
        return np.outer(np.sort(g.uniform(size=n)), g.normal(size=d))
    if kind == "lattice":  # ties and copies
        return g.integers(0, 2, size=(n, d)).astype(float)
    raise ValueError(kind)


KINDS = ("normal", "few directions", "far clusters", "shifted", "line", "lattice")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n, d, k", [(60, 3, 5), (300, 12, 2), (400, 60, 20)])
def test_it_equals_the_slow_loop(kind, n, d, k):
    x = draw(kind, n, d)
    np.testing.assert_allclose(nearest_distances(x, k), by_loop(x, k), rtol=1e-9, atol=1e-15 * np.abs(x).max())


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_exact_where_the_pilot_decides_and_blocks_are_many(kind):
    x = draw(kind, 2500, 40)
    found, one_block = nearest_distances(x, 7, chunk=100), nearest_distances(x, 7, chunk=5000)
    np.testing.assert_allclose(found, one_block, rtol=1e-12)
    at = np.arange(0, 2500, 50)
    direct = np.sort(np.sqrt(((x[at, None] - x[None]) ** 2).sum(2)), axis=1)[:, 1:8]
    np.testing.assert_allclose(found[at], direct, rtol=1e-9, atol=1e-15 * np.abs(x).max())


def test_many_copies_of_one_point_and_an_outlier():
    x = np.concatenate([np.zeros((200, 9)), np.full((1, 9), 1e9), np.eye(9)])
    found = nearest_distances(x, 3)
    np.testing.assert_array_equal(found[:200], 0)
    np.testing.assert_allclose(found[201:], 1)
    np.testing.assert_allclose(found[200], 3e9, rtol=1e-8)


def test_all_points_alike_are_at_distance_zero():
    np.testing.assert_array_equal(nearest_distances(np.full((50, 10), 7.5), 4), 0)
    np.testing.assert_array_equal(nearest_distances(np.zeros((50, 2)), 4), 0)


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-150, 1e150), st.integers(0, 1000), st.sampled_from([2, 12]))
def test_scale_rotation_and_constant_columns(scale, seed, d):
    x = draw("normal", 80, d, seed)
    rotation, _ = np.linalg.qr(draw("normal", d, d, seed + 1))
    expected = scale * nearest_distances(x, 6)
    np.testing.assert_allclose(nearest_distances(scale * x @ rotation, 6), expected, rtol=1e-9)
    wider = np.concatenate([scale * x, np.full((80, 3), scale)], axis=1)
    np.testing.assert_allclose(nearest_distances(wider, 6), expected, rtol=1e-9)


def test_a_lower_precision_of_products_changes_nothing():
    x = draw("normal", 1500, 40)
    expected = nearest_distances(x, 5)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        np.testing.assert_allclose(nearest_distances(x, 5), expected, rtol=1e-12)
    finally:
        torch.set_float32_matmul_precision(before)


def test_it_gives_back_what_it_was_given_and_leaves_it_alone():
    x = torch.arange(30, dtype=torch.float32).reshape(10, 3).requires_grad_()
    before = x.detach().clone()
    found = nearest_distances(x, 2)
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float64
    assert torch.equal(x.detach(), before)
    assert isinstance(nearest_distances(before.numpy(), 2), np.ndarray)


def test_bad_arguments_are_refused():
    x = draw("normal", 5, 2)
    with pytest.raises(InputError, match="k is 5; x has 5 rows, so it must be from 1 to 4"):
        nearest_distances(x, 5)
    with pytest.raises(InputError, match="k is 0"):
        nearest_distances(x, 0)
    with pytest.raises(InputError, match="chunk is 0"):
        nearest_distances(x, 1, chunk=0)
    with pytest.raises(InputError, match="x holds a value that is not finite, first in row 2"):
        nearest_distances(np.where(np.arange(5)[:, None] == 2, np.inf, x), 1)
