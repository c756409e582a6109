import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats.mstats import winsorize

from farfield.errors import InputError
from farfield.optim import coordinate_median, robust, winsorized_mean

SOME = arrays(float, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=st.floats(-100, 100))


@given(SOME)
def test_the_median_is_numpys(rows):
    expected = torch.from_numpy(np.median(rows, axis=0))
    assert torch.allclose(coordinate_median(torch.from_numpy(rows)), expected)
    assert torch.allclose(coordinate_median(list(torch.from_numpy(rows))), expected)


def test_the_median_by_hand_and_of_a_nan():
    assert coordinate_median([torch.tensor(1.0), torch.tensor(5.0), torch.tensor(3.0)]) == 3
    nan = [torch.tensor([1.0]), torch.tensor([float("nan")]), torch.tensor([2.0])]
    assert coordinate_median(nan).isnan() and coordinate_median([*nan, *nan[:2]]).isnan()


@pytest.mark.parametrize(("c", "expected"), [(0, 21.2), (1, 2.0), (2, 2.0)])
def test_the_winsorized_mean_by_hand(c, expected):
    assert winsorized_mean(torch.tensor([0.0, 100.0, 2.0, 3.0, 1.0]), c) == pytest.approx(expected)


@given(SOME, st.data())
def test_the_winsorized_mean_is_scipys_whatever_the_pieces(rows, data):
    c = data.draw(st.integers(0, (len(rows) - 1) // 2))
    expected = [np.mean(winsorize(column, limits=(c / len(rows) + 1e-9,) * 2)) for column in rows.T]
    whole = winsorized_mean(torch.from_numpy(rows), c)
    assert np.allclose(whole, expected)
    before = robust.PIECE
    try:
        robust.PIECE = len(rows)  # a column at a time
        assert torch.equal(winsorized_mean(torch.from_numpy(rows), c), whole)
    finally:
        robust.PIECE = before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_dtype_stay_and_the_gradients_are_not_written_to(dtype):
    g = torch.randn(7, 3, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = g.clone()
    found = winsorized_mean(g, 2)
    assert found.shape == (3, 2) and found.dtype == dtype and torch.equal(g, before)
    exact = winsorized_mean(g.double(), 3)
    assert torch.allclose(winsorized_mean(g, 3).double(), exact, rtol=0.02)
    assert torch.equal(exact, coordinate_median(g.double()))


def test_what_does_not_fit_is_refused():
    g = torch.ones(4, 2)
    for c in (2, -1, 1.5):
        with pytest.raises(InputError, match=rf"c is {c} of 4 examples"):
            winsorized_mean(g, c)
    with pytest.raises(InputError, match="not finite"):
        winsorized_mean(torch.tensor([1.0, 2.0, float("inf"), 0.0]), 1)
    with pytest.raises(InputError, match="single number"):
        winsorized_mean(torch.tensor(1.0), 0)
    with pytest.raises(InputError, match="at least one tensor"):
        coordinate_median([])
    with pytest.raises(InputError, match="all of one shape"):
        coordinate_median([torch.ones(2), torch.ones(3)])
