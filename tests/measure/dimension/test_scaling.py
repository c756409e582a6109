import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import ScalingFit, scaling_fit


@given(st.floats(0.1, 5), st.floats(0.01, 100))
def test_an_exact_law_is_found_again(slope, constant):
    n, d, kf = np.array([100, 400, 1600, 100]), np.array([2.0, 4.0, 4.0, 8.0]), np.array([0.2, 3.0, 3.0, 10.0])
    loss = constant * np.maximum(1, kf) * n ** (-slope / d)
    fit = scaling_fit(n, loss, d, kf)
    assert (fit.slope, fit.constant) == (pytest.approx(slope, rel=1e-6), pytest.approx(constant, rel=1e-6))
    assert fit.r2 == pytest.approx(1, abs=1e-6) and fit.n == 4
    assert fit.predict(1600, 4, 3) == pytest.approx(loss[2], rel=1e-6)


def test_it_is_least_squares_of_logarithms():
    from scipy.stats import linregress

    g = np.random.default_rng(0)
    n, loss = g.integers(100, 2000, size=20), g.uniform(0.1, 2, size=20)
    expected = linregress(-np.log(n) / 3, np.log(loss))
    fit = scaling_fit(n, loss, 3.0)
    assert fit.slope == pytest.approx(expected.slope)
    assert fit.constant == pytest.approx(np.exp(expected.intercept))
    assert fit.r2 == pytest.approx(expected.rvalue**2)
    # The law has max(1, K_F): blunt labels change nothing.
    assert scaling_fit(n, loss, 3.0, 0.5) == fit


def test_losses_that_do_not_change_have_slope_zero():
    assert scaling_fit(np.array([10, 20, 40]), np.ones(3), 2.0) == ScalingFit(0.0, 1.0, 1.0, 3)


def test_bad_arguments_are_refused():
    n, loss = np.array([10.0, 20.0]), np.array([1.0, 0.5])
    with pytest.raises(InputError, match=r"ln\(n\) / d is the same in all runs"):
        scaling_fit(np.array([10, 10]), loss, 2.0)
    with pytest.raises(InputError, match="loss holds 0; it must be above 0"):
        scaling_fit(n, np.array([0.0, 1.0]), 2.0)
    with pytest.raises(InputError, match="n has 2 runs but d has 3"):
        scaling_fit(n, loss, np.ones(3))
    with pytest.raises(InputError, match="n has shape"):
        scaling_fit(n[:1], loss[:1], 2.0)
    with pytest.raises(InputError, match="d is 0; it must be above 0"):
        ScalingFit(1.0, 1.0, 1.0, 2).predict(10, d=0)
