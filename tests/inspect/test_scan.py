"""The pass over all rows: explicit counts, pieces of any size, values that are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.inspect import scan as module
from farfield.inspect.scan import scan


def test_counts_and_cosine_equal_an_explicit_loop():
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, size=(60, 3)).astype(np.float32)
    x[:, 1] = 2
    x = np.concatenate([x, np.zeros((2, 3), np.float32)])
    found = scan(torch.from_numpy(x), "x")
    assert found.duplicate_rows == len(x) - len(np.unique(x, axis=0)) and found.zero_rows == 2
    units = [row / np.linalg.norm(row) for row in x if row.any()]
    cosines = [a @ b for i, a in enumerate(units) for j, b in enumerate(units) if i != j]
    assert found.mean_cosine == pytest.approx(np.mean(cosines), abs=1e-6)


@given(
    st.integers(2, 40),
    st.integers(1, 6),
    st.integers(1, 30),
    st.sampled_from(["float32", "float64", "int16", "float16"]),
)
def test_pieces_change_nothing(n, d, values, dtype):
    x = torch.from_numpy(np.random.default_rng(n * 7 + d).integers(0, 3, size=(n, d)).astype(dtype))
    if (x == x[0]).all():
        return
    whole = scan(x, "x")
    before = module.VALUES
    module.VALUES = values
    try:
        pieces = scan(x, "x")
    finally:
        module.VALUES = before
    assert pieces.duplicate_rows == whole.duplicate_rows == n - len(np.unique(x.numpy(), axis=0))
    assert pieces.fingerprint == whole.fingerprint and pieces.constant_columns == whole.constant_columns
    assert pieces.mean_cosine == (None if whole.mean_cosine is None else pytest.approx(whole.mean_cosine))


def test_rows_that_differ_in_one_bit_or_sign_of_zero():
    x = torch.zeros(3, 400)
    x[1, 399] = 1e-45
    x[2] = -0.0
    assert scan(x, "x").duplicate_rows == 1


def test_many_simple_rows_do_not_collide():
    # Whole numbers as floats end in many zero bits.
    x = torch.cartesian_prod(torch.arange(300.0), torch.arange(300.0))
    assert scan(x, "x").duplicate_rows == 0


def test_order_and_values_decide_the_fingerprint():
    x = torch.arange(6.0).reshape(3, 2)
    prints = {scan(v, "x").fingerprint for v in (x, x.flip(0), x + 1)}
    assert len(prints) == 3 and scan(x.clone(), "y").fingerprint in prints


def test_huge_values_have_a_direction():
    x = torch.tensor([[1e30, 0.0], [1e-30, 0.0], [0.0, 1e30]])
    assert scan(x, "x").mean_cosine == pytest.approx(1 / 3)


def test_what_is_refused():
    x = torch.ones(5, 2)
    with pytest.raises(InputError, match="all rows of a are the same"):
        scan(x, "a")
    x[3, 1] = torch.nan
    with pytest.raises(InputError, match="a holds a value that is not finite, first in row 3"):
        scan(x, "a")
