"""Lower tails in logarithms against exact distribution functions, series in many digits and the released code's numbers."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from farfield.errors import InputError
from farfield.measure import noncentral_chi2_log_cdf, sankaran_bias, weighted_chi2_log_cdf

ORACLE = Path(__file__).parents[1] / "data" / "inductive-bias.npz"


def test_equals_the_released_code_exactly_and_its_fallback():
    with np.load(ORACLE) as oracle:
        for i, (df, nc, scale) in enumerate(oracle["param_df_nc_scale"]):
            for j, x in enumerate(oracle["param_targets"]):
                exact = -noncentral_chi2_log_cdf(x, df, nc, scale)
                assert exact == pytest.approx(oracle["param_bias"][i, j], rel=1e-9)
                fallback = sankaran_bias(x, df, nc, scale)
                assert fallback == pytest.approx(oracle["param_bias_sankaran"][i, j], rel=1e-9)


def test_closed_forms():
    # df 2 without noncentrality is the exponential distribution.
    assert -noncentral_chi2_log_cdf(0.05, 2, 0, 0.1) == pytest.approx(1.508692, abs=1e-6)
    assert -noncentral_chi2_log_cdf(0.1, 20, 5, 0.02) == pytest.approx(10.14644, abs=1e-5)
    for x in (1e-200, 1e-3, 1.0, 60.0):
        assert noncentral_chi2_log_cdf(x, 2) == pytest.approx(math.log(-math.expm1(-x / 2)), rel=1e-12)
    # df 4: 1 - e^-y (1 + y), y = x/2, whose digits cancel near 0; there it is y^2/2 - y^3/3 + y^4/8 ...
    y = Fraction(1, 10**6)
    series = sum(y ** (k + 2) * (-1) ** k / (math.factorial(k) * (k + 2)) for k in range(6))
    assert noncentral_chi2_log_cdf(2e-6, 4) == pytest.approx(math.log(series), rel=1e-13)


def test_where_the_distribution_function_has_long_become_zero():
    # ln P = ln of the first term of the series, for nc = 0 and tiny x; and times e^(-nc/2) with noncentrality.
    df, x = 400, 1e-12
    first = df / 2 * math.log(x / 2) - math.lgamma(df / 2 + 1)
    assert first < -6000
    assert noncentral_chi2_log_cdf(x, df) == pytest.approx(first, rel=1e-12)
    assert noncentral_chi2_log_cdf(x, df, nc=30) == pytest.approx(first - 15, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, 300), st.floats(0, 500), st.floats(0.2, 2.5), st.floats(1e-6, 1e6))
def test_equals_scipy_where_scipy_has_digits(df, nc, share, scale):
    x = share * (df + nc)
    exact = stats.ncx2.cdf(x, df, nc) if nc else stats.chi2.cdf(x, df)
    if exact > 1e-200:
        assert math.exp(noncentral_chi2_log_cdf(x * scale, df, nc, scale)) == pytest.approx(exact, rel=1e-6)


def test_limits_and_bad_arguments():
    assert noncentral_chi2_log_cdf(0, 3) == noncentral_chi2_log_cdf(-1, 3) == -math.inf
    assert noncentral_chi2_log_cdf(math.inf, 3) == 0 and noncentral_chi2_log_cdf(1e9, 3, 2) == 0
    for arguments, name in [((1, 0), "df"), ((1, 2, -1), "nc"), ((1, 2, 1e7), "nc"), ((1, 2, 0, 0), "scale")]:
        with pytest.raises(InputError, match=f"{name} is"):
            noncentral_chi2_log_cdf(*arguments)
    with pytest.raises(InputError, match="x is nan"):
        noncentral_chi2_log_cdf(math.nan, 2)


@pytest.mark.parametrize(("k", "off"), [(1, 0.17), (2, 0.09), (5, 0.04), (30, 0.006), (400, 0.001)])
def test_saddlepoint_of_equal_weights_is_chi_squared_within_one_percent_down_to_1e_minus_50(k, off):
    for log10 in (-50, -20, -5, -1):
        x = stats.chi2.ppf(10.0**log10, k)
        exact = noncentral_chi2_log_cdf(x, k)
        found = weighted_chi2_log_cdf(3 * x, np.full(1, 3.0), np.zeros((1, k)))
        assert found == pytest.approx(exact, rel=0, abs=off)
        if log10 == -50 or k > 5:
            assert found == pytest.approx(exact, rel=0.01)


def test_saddlepoint_of_shifted_and_unequal_terms():
    for x in (2.0, 10.0, 34.0, 34.5, 60.0):
        centres = np.array([[3.0, 1.0], [2.0, 4.0]])
        exact = math.exp(noncentral_chi2_log_cdf(x, 4, 30))
        assert math.exp(weighted_chi2_log_cdf(x, np.ones(2), centres)) == pytest.approx(exact, rel=0.02)
    # 3 a^2 + b^2 by a million draws.
    z = np.random.default_rng(0).standard_normal((1_000_000, 2))
    sums = 3 * z[:, 0] ** 2 + (z[:, 1] + 1) ** 2
    for x in (1.0, 5.0, 15.0):
        share = (sums <= x).mean()
        assert math.exp(weighted_chi2_log_cdf(x, np.array([3.0, 1.0]), np.array([[0.0], [1.0]]))) == pytest.approx(
            share, rel=0.03
        )


def test_saddlepoint_is_continuous_at_the_mean():
    w, c = np.array([2.0, 1.0]), np.array([[0.5, 0.0], [1.0, 0.0]])
    mean = float((w[:, None] * (1 + c**2)).sum())
    near = [weighted_chi2_log_cdf(mean * (1 + e), w, c) for e in (-1e-3, -1e-6, 0.0, 1e-6, 1e-3)]
    assert np.diff(near).min() > 0 and near[-1] - near[0] < 2e-3


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 5), st.floats(1e-6, 1e6), st.floats(0, 3))
def test_saddlepoint_scales_shifts_and_grows(seed, share, factor, offset):
    rng = np.random.default_rng(seed)
    w, c = rng.random(6) + 0.01, rng.standard_normal((6, 3))
    x = share * float((w[:, None] * (1 + c**2)).sum())
    one = weighted_chi2_log_cdf(x, w, c)
    assert weighted_chi2_log_cdf(factor * (x + offset), factor * w, c, factor * offset) == pytest.approx(
        one, rel=1e-6, abs=1e-9
    )
    assert weighted_chi2_log_cdf(1.1 * x, w, c) >= one - 1e-9
    assert weighted_chi2_log_cdf(x, w, -c[:, ::-1]) == pytest.approx(one, rel=1e-9, abs=1e-12)


def test_saddlepoint_at_its_limits():
    none = np.zeros((0, 2))
    assert weighted_chi2_log_cdf(1.0, np.zeros(0), none, offset=0.5) == 0
    assert weighted_chi2_log_cdf(0.4, np.zeros(0), none, offset=0.5) == -math.inf
    assert weighted_chi2_log_cdf(0.5, np.ones(1), np.zeros((1, 1)), offset=0.5) == -math.inf
    assert weighted_chi2_log_cdf(1e9, np.ones(1), np.zeros((1, 1))) == 0
    with pytest.raises(InputError, match="weights must be finite and above 0"):
        weighted_chi2_log_cdf(1.0, np.zeros(1), np.zeros((1, 1)))
    with pytest.raises(InputError, match="a row for each of 2 weights"):
        weighted_chi2_log_cdf(1.0, np.ones(2), np.zeros((1, 1)))
