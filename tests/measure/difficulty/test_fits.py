"""Fitted distributions of errors: the released code's parameters, likelihoods, and what a bootstrap repeats."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from farfield.measure.difficulty.fits import FITS, fit_gamma, fit_moments, fit_ncx2, fit_saddlepoint, log_density

ORACLE = Path(__file__).parents[1] / "data" / "inductive-bias.npz"


@settings(max_examples=100, deadline=None)
@given(st.floats(0.3, 2000), st.floats(0, 3000), st.floats(0.3, 2))
def test_density_equals_scipys_where_that_is_finite_and_is_finite_elsewhere(df, nc, share):
    x = np.array([share * (df + nc)])
    with np.errstate(all="ignore"):
        exact = stats.ncx2.logpdf(x, df, nc) if nc else stats.chi2.logpdf(x, df)
    found = log_density(x, df, nc)
    assert np.isfinite(found).all()
    if np.isfinite(exact).all():
        assert found == pytest.approx(exact, rel=1e-6, abs=1e-6)


def test_the_fit_is_the_released_codes():
    with np.load(ORACLE) as oracle:
        found = fit_ncx2(oracle["mse_samples"])
        df, nc, scale = oracle["fit_df_nc_scale"]
        assert found.by == "likelihood" and nc < 1e-3
        assert found.parameters["df"] == pytest.approx(df, rel=0.05)
        assert found.parameters["scale"] == pytest.approx(scale, rel=0.05)
        assert found.parameters["nc"] < 0.01


def test_maximum_likelihood_is_a_maximum():
    errors = np.random.default_rng(1).noncentral_chisquare(5, 20, 3000) * 0.01
    found = fit_ncx2(errors)
    df, nc, scale = (found.parameters[k] for k in ("df", "nc", "scale"))

    def likelihood(df, nc, scale):
        return float(stats.ncx2.logpdf(errors, df, nc, scale=scale).mean())

    best = likelihood(df, nc, scale)
    assert best >= likelihood(5, 20, 0.01) - 1e-9
    for f in (0.97, 1.03):
        assert best >= max(likelihood(df * f, nc, scale), likelihood(df, nc * f, scale), likelihood(df, nc, scale * f))
    gamma = fit_gamma(errors)
    shape, _, width = stats.gamma.fit(errors, floc=0)
    assert gamma.parameters["df"] == pytest.approx(2 * shape, rel=1e-4)
    assert gamma.parameters["scale"] == pytest.approx(width / 2, rel=1e-4)
    assert gamma.log_cdf(0.1) == pytest.approx(float(stats.gamma.logcdf(0.1, shape, scale=width)), rel=1e-3)


def test_moments_are_kept():
    errors = np.random.default_rng(0).random(100) + 0.1
    found = fit_moments(errors)
    assert found.mean == pytest.approx(errors.mean()) and found.sd == pytest.approx(errors.std())
    df, scale = found.parameters["df"], found.parameters["scale"]
    assert stats.chi2.mean(df, scale=scale) == pytest.approx(errors.mean())
    assert stats.chi2.std(df, scale=scale) == pytest.approx(errors.std())


def test_few_draws_that_lead_scipys_fit_astray():
    # The trap of the paper's sheet: 32 trainings, mean 0.0246, standard deviation 0.0010, target 4.6 of them below.
    z = np.random.default_rng(0).standard_normal(32)
    errors = 0.0246 + 0.0010 * (z - z.mean()) / z.std()
    for model in ("ncx2", "gamma", "chi2"):
        found = FITS[model](errors)
        assert found.mean == pytest.approx(0.0246, rel=0.01) and found.sd == pytest.approx(0.0010, rel=0.06)
        assert 13.5 < -found.log_cdf(0.02) < 16


def test_a_fit_that_misses_the_spread_gives_way_to_moments():
    # Two clusters: no chi-squared has such a likelihood, and its standard deviation is far off.
    errors = np.r_[np.full(50, 1.0), np.full(3, 30.0)] + np.linspace(0, 0.01, 53)
    found = fit_ncx2(errors)
    assert found.by == "moments" and found.sd == pytest.approx(errors.std())
    assert fit_ncx2(errors[::-1], start=found).by == "moments"


@pytest.mark.parametrize("nc", [0, 20])
def test_a_bootstrap_in_groups_repeats_the_fit(nc):
    rng = np.random.default_rng(0)
    errors = (rng.noncentral_chisquare(5, nc, 3000) if nc else rng.chisquare(20, 3000)) * 0.01
    whole = fit_ncx2(errors)
    for x in (0.02, 0.05, 0.1):
        assert fit_ncx2(errors, start=whole).log_cdf(x) == pytest.approx(whole.log_cdf(x), rel=0.01)


def test_the_empirical_saddlepoint_follows_the_distribution_inside_the_range():
    errors = np.random.default_rng(0).gamma(3, 1, 20_000)
    found = fit_saddlepoint(errors)
    for p in (0.01, 0.1, 0.5, 0.9, 0.99):
        assert math.exp(found.log_cdf(stats.gamma.ppf(p, 3))) == pytest.approx(p, rel=0.12)
    grid = [found.log_cdf(x) for x in np.linspace(errors.mean() - 0.01, errors.mean() + 0.01, 41)]
    assert np.diff(grid).min() > 0 and np.diff(grid).max() < 2e-3
    assert found.log_cdf(errors.min()) == -math.inf and found.log_cdf(errors.max()) == 0
