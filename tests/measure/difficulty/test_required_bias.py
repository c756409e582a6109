"""Required bias from draws and from a space's own covariance: the released code's numbers, limits and coverage."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import (
    Bias,
    GPHypotheses,
    gp_required_bias,
    noncentral_chi2_log_cdf,
    provided_bias,
    required_bias,
)

ORACLE = Path(__file__).parents[1] / "data" / "inductive-bias.npz"
ERRORS = np.random.default_rng(0).chisquare(20, 2000) * 0.01


def test_equals_the_released_code():
    with np.load(ORACLE) as oracle:
        mean = oracle["mse_samples"].mean()
        for target, nats in zip(oracle["targets"], oracle["inductive_bias_nats"]):
            found = required_bias(oracle["mse_samples"], target, base=math.e, resamples=20)
            if target >= 0.1 * mean:
                assert found.value == pytest.approx(nats, rel=0.05)
            assert found.sds_below == pytest.approx((mean - target) / oracle["mse_samples"].std())
            assert found.extrapolated == (oracle["mse_samples"].min() > target)


@pytest.mark.parametrize("model", ["ncx2", "gamma", "chi2", "empirical", "saddlepoint"])
def test_every_model_finds_the_tail_that_is_there(model):
    for target in (0.12, 0.15, 0.2, 0.3):
        exact = -noncentral_chi2_log_cdf(target, 20, scale=0.01) / math.log(2)
        found = required_bias(ERRORS, target, model)
        assert found.value == pytest.approx(exact, rel=0.1, abs=0.02)
        low, high = found.ci
        assert low <= found.value <= high and high - low < 0.5 * exact + 0.05
        assert found.ks_p > 0.05 and not found.extrapolated
    assert required_bias(ERRORS, float(np.median(ERRORS)), model).value == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("model", ["ncx2", "gamma", "chi2"])
def test_falls_with_the_target_to_zero_and_is_ratios_of_scale_only(model):
    values = [required_bias(ERRORS, t, model, resamples=20).value for t in (1e-6, 0.01, 0.1, 0.2, 0.4, 10.0)]
    assert all(a > b for a, b in pairwise(values)) and values[-1] < 1e-100 and values[0] > 100
    order = np.random.default_rng(1).permutation(len(ERRORS))
    other = required_bias(1e3 * ERRORS[order], 1e3 * 0.1, model, resamples=20)
    assert other.value == pytest.approx(values[2], rel=1e-3)
    assert required_bias(torch.from_numpy(ERRORS), 0.1, model, resamples=20).value == values[2]
    nats = required_bias(ERRORS, 0.1, model, base=math.e, resamples=20)
    assert nats.value == pytest.approx(values[2] * math.log(2)) and nats.sds_below == pytest.approx(1.6, abs=0.1)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    exact = -noncentral_chi2_log_cdf(0.08, 20, scale=0.01)
    inside = 0
    for seed in range(40):
        errors = np.random.default_rng(seed).chisquare(20, 400) * 0.01
        low, high = required_bias(errors, 0.08, "gamma", base=math.e, seed=seed).ci
        inside += low <= exact <= high
    # 95 % of 40 are 38; fewer than 33 come up once in a thousand times.
    assert inside >= 33


def test_a_model_that_does_not_describe_the_errors_says_so():
    two = np.r_[np.random.default_rng(0).normal(1, 0.05, 300), np.random.default_rng(1).normal(3, 0.05, 300)]
    assert required_bias(two, 0.5, "gamma").ks_p < 1e-6
    found = required_bias(ERRORS, 1e-3)
    assert found.extrapolated and found.sds_below > 2.5 and set(found.fit) >= {"df", "nc", "scale", "by", "sd_off"}


def test_an_empirical_share_has_its_exact_interval_and_none_below_all_draws():
    errors = np.arange(1.0, 101.0)
    found = required_bias(errors, 10.0, "empirical", base=math.e)
    assert found.value == pytest.approx(-math.log(0.1))
    # Clopper and Pearson for 10 of 100.
    assert math.exp(-found.ci[1]) == pytest.approx(0.04900, abs=1e-5)
    assert math.exp(-found.ci[0]) == pytest.approx(0.17622, abs=1e-5)
    none = required_bias(errors, 0.5, "empirical", base=math.e)
    assert none.value == math.inf and none.extrapolated
    assert none.ci[1] == math.inf and math.exp(-none.ci[0]) == pytest.approx(1 - 0.025 ** (1 / 100))
    assert required_bias(errors, 1000.0, "empirical").value == 0


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="outside the range of the errors"):
        required_bias(ERRORS, 1e-3, "saddlepoint")
    with pytest.raises(InputError, match="model is 'normal'"):
        required_bias(ERRORS, 0.1, "normal")
    with pytest.raises(InputError, match="target is 0"):
        required_bias(ERRORS, 0)
    with pytest.raises(InputError, match="base is 1"):
        required_bias(ERRORS, 0.1, base=1)
    with pytest.raises(InputError, match="resamples is 2"):
        required_bias(ERRORS, 0.1, resamples=2)
    with pytest.raises(InputError, match="not all equal"):
        required_bias(np.ones(20), 0.1)
    with pytest.raises(InputError, match="above 0"):
        required_bias(np.r_[0.0, ERRORS], 0.1)
    with pytest.raises(InputError, match=r"expected \(n,\) with n at least 8"):
        required_bias(ERRORS[:7], 0.1)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.floats(0.05, 3), st.floats(0.02, 1.5))
def test_a_white_space_is_chi_squared(k, variance, share):
    t = 30
    mean, y = np.full((t, k), 2.0), np.full((t, k), 2.0)
    found = gp_required_bias(mean, variance * np.eye(t), y, share * variance, base=math.e)
    exact = -noncentral_chi2_log_cdf(share * t * k, t * k)
    assert found == pytest.approx(exact, rel=0.01)
    assert gp_required_bias(mean, variance * np.eye(t), y, share * variance, "chi2", math.e) == pytest.approx(exact)


def test_it_agrees_with_draws_where_draws_reach():
    with np.load(ORACLE) as oracle:
        space = GPHypotheses(oracle["X_train"], oracle["y_train"])
        x, y = oracle["X_test"], oracle["y_test"]
    mean, covariance = space.posterior(x)
    errors = space.sample_errors(x, y, 20_000, torch.Generator().manual_seed(0))
    for p in (0.001, 0.05, 0.5, 0.95):
        target = float(np.quantile(errors, p))
        low, high = required_bias(errors, target, "empirical").ci
        assert low - 0.03 <= gp_required_bias(mean, covariance, y, target) <= high + 0.03


def test_directions_that_the_space_leaves_fixed_bound_what_can_be_reached():
    mean, cov, y = np.array([[0.0], [1.0]]), np.diag([1.0, 0.0]), np.zeros((2, 1))
    assert gp_required_bias(mean, cov, y, 0.5) == math.inf  # the second always errs by 1, half of it in the mean
    found = gp_required_bias(mean, cov, y, 0.75, base=math.e)
    assert found == pytest.approx(-noncentral_chi2_log_cdf(0.5, 1), rel=0.05)
    zero = np.zeros((2, 2))
    for method in ("saddlepoint", "chi2"):
        assert gp_required_bias(y, zero, y, 0.1, method) == 0
        assert gp_required_bias(y + 1, zero, y, 0.1, method) == math.inf


def test_rotating_the_test_set_changes_nothing():
    rng = np.random.default_rng(0)
    a, mean, y = rng.standard_normal((8, 8)), rng.standard_normal((8, 2)), rng.standard_normal((8, 2))
    q, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    one = gp_required_bias(mean, a @ a.T, y, 0.4)
    assert gp_required_bias(q @ mean, q @ a @ a.T @ q.T, q @ y, 0.4) == pytest.approx(one, rel=1e-8)


def test_bad_spaces_are_refused():
    mean = np.zeros((3, 1))
    with pytest.raises(InputError, match=r"expected \(3, 3\)"):
        gp_required_bias(mean, np.eye(2), mean, 0.1)
    with pytest.raises(InputError, match="y has shape"):
        gp_required_bias(mean, np.eye(3), np.zeros((3, 2)), 0.1)
    with pytest.raises(InputError, match="a covariance has none below 0"):
        gp_required_bias(mean, -np.eye(3), mean, 0.1)
    with pytest.raises(InputError, match="method is 'exact'"):
        gp_required_bias(mean, np.eye(3), mean, 0.1, "exact")
    with pytest.raises(InputError, match="target is 0"):
        gp_required_bias(mean, np.eye(3), mean, 0)


def test_provided_bias_is_the_difference():
    one, other = (Bias(v, (v, v), {}, 1.0, 0.0, False) for v in (12.0, 5.0))
    assert provided_bias(one, other) == 7 and provided_bias(20.0, other) == 15
