"""Required inductive bias: how unlikely a function of a hypothesis space is that generalizes to a wanted error."""

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor
from farfield.measure.difficulty.fits import FITS, Fit
from farfield.measure.difficulty.hypotheses import _targets
from farfield.measure.difficulty.tails import noncentral_chi2_log_cdf, weighted_chi2_log_cdf

Model = Literal["ncx2", "chi2", "gamma", "empirical", "saddlepoint"]


@dataclass(frozen=True)
class Bias:
    """The inductive bias that a target error requires, and how far it can be trusted.

    **Fields:**
    - ``value``: ``-log P(error <= target)`` in the base that was asked for (bits at base 2); ``ci``: 95 % interval.
    - ``fit``: the parameters, and how the fit's ``mean`` and ``sd`` differ from the errors' (``mean_off``, ``sd_off``, relative).
    - ``ks_p``: p value of the Kolmogorov-Smirnov test of the fit; small where the model does not describe the errors.
    - ``sds_below``: how many standard deviations the target lies below the mean of the errors.
    - ``extrapolated``: no error that was seen is as low as the target: the value is the model's word alone.

    >>> found = required_bias(np.linspace(1, 2, 100), 0.5, "gamma")
    >>> found.extrapolated, round(found.sds_below, 1), found.ci[0] < found.value < found.ci[1]
    (True, 3.4, True)
    """

    value: float
    ci: tuple[float, float]
    fit: dict[str, Any]
    ks_p: float
    sds_below: float
    extrapolated: bool


def required_bias(
    errors: Float[Array, " n"],
    target: float,
    model: Model = "ncx2",
    base: float = 2,
    *,
    resamples: int = 100,
    seed: int = 0,
) -> Bias:
    """Return the information needed to pick, from a hypothesis space, a function whose test error is at most ``target``.

    ``-log P(error <= target)``, the probability read from the test errors of functions drawn from the space, by a model:
    - ``"ncx2"``: scaled noncentral chi-squared, by maximum likelihood (the paper's: a mean of squares of normal numbers). Where the
      likelihood's optimum misses the errors' mean or standard deviation by more than 5 %, as it can with few draws, the
      central one with the same two moments takes its place; ``fit["by"]`` says which.
    - ``"gamma"``: the central one, by maximum likelihood; ``"chi2"``: the central one with the same mean and variance.
    - ``"empirical"``: the share of errors at or below the target; its interval is Clopper & Pearson's. inf where there is none,
      with the finite lower end that so many draws allow.
    - ``"saddlepoint"``: the smoothed empirical distribution (Davison & Hinkley, 1988); only inside the range of the errors.

    The interval of a fit is the bootstrap's (percentiles). It holds the sampling error only: far below all errors seen
    the choice of model matters more, so compare models there and mind ``sds_below``.

    **Arguments:** ``errors`` (n,) at least 8, all above 0, not all equal; ``target`` above 0; ``base``: of the logarithm, above 1;
    ``resamples``: of the bootstrap, at least 20; ``seed``: of the bootstrap.

    Raises InputError on an argument out of range, and where the saddlepoint is asked for outside the errors' range.

    Source: Boopathy et al., IJCAI 2024, section 3.

    >>> errors = np.random.default_rng(0).chisquare(20, 2000) * 0.01
    >>> found = required_bias(errors, 0.1, base=math.e)
    >>> exact = -noncentral_chi2_log_cdf(0.1, 20, scale=0.01)
    >>> found.ci[0] < exact < found.ci[1], found.extrapolated
    (True, False)
    """
    values = tensor(errors, "errors", dims=1, rows=8).cpu().numpy()
    if not (target > 0 and math.isfinite(target)):
        raise InputError(f"target is {target}; it must be above 0 and finite")
    if not (base > 1 and math.isfinite(base)):
        raise InputError(f"base is {base}; it must be above 1, such as 2 for bits")
    if resamples < 20:
        raise InputError(f"resamples is {resamples}; an interval needs at least 20")
    if values.min() <= 0 or values.min() == values.max():
        raise InputError("errors must all be above 0 and not all equal; a space with one error only has no tail")
    mean, sd = float(values.mean()), float(values.std())
    unit = math.log(base)
    common = {"sds_below": (mean - target) / sd, "extrapolated": bool(values.min() > target)}
    if model == "empirical":
        return _empirical(values, target, unit, common)
    if model not in FITS:
        raise InputError(f"model is {model!r}; it must be one of empirical, {', '.join(FITS)}")
    if model == "saddlepoint" and not values.min() < target < values.max():
        raise InputError(
            f"the target {target:g} is outside the range of the errors, {values.min():g} to {values.max():g}; the saddlepoint of "
            "draws does not extrapolate"
        )
    fitted, again = _fits(values.tobytes(), model, resamples, seed)
    value = _bits(fitted, target, unit)
    low, high = np.quantile([_bits(f, target, unit) for f in again], (0.025, 0.975), method="nearest")
    fit = fitted.parameters | {"by": fitted.by, "mean_off": fitted.mean / mean - 1, "sd_off": fitted.sd / sd - 1}
    return Bias(value, (float(low), float(high)), fit, _ks_p(values, fitted), **common)


def gp_required_bias(
    mean: Float[Array, "t k"],
    cov: Float[Array, "t t"],
    y: Float[Array, "t k"],
    target: float,
    method: Literal["saddlepoint", "chi2"] = "saddlepoint",
    base: float = 2,
) -> float:
    """Return the inductive bias that a target error requires in a space of normal functions, without drawing or fitting any.

    The mean squared error is a sum of squares of normal numbers, weighted by the eigenvalues of the covariance; its lower tail
    is found by the saddlepoint formula of Lugannani & Rice, see `weighted_chi2_log_cdf`.

    **Arguments:** ``mean`` (t, k) or (t,) and ``cov`` (t, t), from `GPHypotheses.posterior`; ``y`` like ``mean``: the test targets; ``target``:
    mean squared error over inputs and outputs, above 0; ``method``: ``"chi2"`` matches the first two moments by a scaled chi-squared
    instead, for comparison; ``base`` of the logarithm.

    0 where every function reaches the target, inf where none can: an error remains in directions that the space leaves fixed.

    Raises InputError on shapes that do not match, a covariance with an eigenvalue clearly below 0, or an argument out of range.

    >>> mean, cov, y = torch.zeros(50, 1), torch.eye(50), torch.zeros(50, 1)  # the error is chi-squared(50) / 50
    >>> exact = -noncentral_chi2_log_cdf(5.0, df=50) / math.log(2)
    >>> abs(gp_required_bias(mean, cov, y, 0.1) / exact - 1) < 1e-3
    True
    """
    centre = tensor(mean, "mean", dims=None)
    centre = centre[:, None] if centre.ndim == 1 else centre.flatten(1)
    covariance = tensor(cov, "cov").to(centre.device)
    t, k = centre.shape
    if covariance.shape != (t, t):
        raise InputError(f"cov has shape {tuple(covariance.shape)}; expected ({t}, {t}), as mean has {t} rows")
    targets = _targets(y, "y", centre)
    if targets.shape != centre.shape:
        raise InputError(f"y has shape {tuple(targets.shape)} but mean has {tuple(centre.shape)}")
    if not (target > 0 and math.isfinite(target)) or not (base > 1 and math.isfinite(base)):
        raise InputError(f"target is {target} and base {base}; expected above 0 and above 1")
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    if float(values[0]) < -1e-6 * max(1.0, float(values[-1])):
        raise InputError(f"cov has the eigenvalue {float(values[0]):.3g}; a covariance has none below 0")
    bias = vectors.T @ (centre - targets)
    free = values > 1e-12 * max(float(values[-1]), 1e-300)
    fixed = float(bias[~free].square().sum())
    weights, bias = values[free], bias[free]
    if method == "saddlepoint":
        centres = (bias / weights.sqrt()[:, None]).cpu().numpy()
        log = weighted_chi2_log_cdf(target * t * k, weights.cpu().numpy(), centres, fixed)
    elif method == "chi2":
        expected = float(bias.square().sum() + k * weights.sum()) + fixed
        variance = float(2 * k * weights.square().sum() + 4 * (weights[:, None] * bias.square()).sum())
        at = target * t * k
        if variance == 0:
            log = 0.0 if expected <= at else -math.inf
        else:
            log = noncentral_chi2_log_cdf(at, 2 * expected**2 / variance, 0.0, variance / (2 * expected))
    else:
        raise InputError(f"method is {method!r}; it must be 'saddlepoint' or 'chi2'")
    return abs(log) / math.log(base)


def provided_bias(broad: Bias | float, narrow: Bias | float) -> float:
    """Return the inductive bias that a narrower space brings: what the broad one requires for the same target, minus what it does.

    **Arguments:** both from `required_bias` or `gp_required_bias`, at one target, one test set and one base.

    >>> provided_bias(120.0, 12.5)
    107.5
    """
    return (broad.value if isinstance(broad, Bias) else broad) - (narrow.value if isinstance(narrow, Bias) else narrow)


@functools.lru_cache(maxsize=16)
def _fits(values: bytes, model: str, resamples: int, seed: int) -> tuple[Fit, list[Fit]]:
    """Return the fit of these errors and those of the bootstrap: several targets need them once."""
    errors, rng = np.frombuffer(values), np.random.default_rng(seed)
    fitted = FITS[model](errors)
    return fitted, [FITS[model](rng.choice(errors, len(errors)), start=fitted) for _ in range(resamples)]


def _bits(fitted: Fit, target: float, unit: float) -> float:
    return abs(fitted.log_cdf(target)) / unit


def _empirical(values: np.ndarray, target: float, unit: float, common: dict[str, Any]) -> Bias:
    from scipy.stats import beta

    n, inside = len(values), int((values <= target).sum())
    low = beta.ppf(0.025, inside, n - inside + 1) if inside else 0.0
    high = beta.ppf(0.975, inside + 1, n - inside) if inside < n else 1.0
    logs = [math.inf if p == 0 else abs(math.log(p)) / unit for p in (high, low)]
    value = math.inf if not inside else abs(math.log(inside / n)) / unit
    return Bias(value, (logs[0], logs[1]), {"draws": n, "inside": inside, "by": "share"}, 1.0, **common)


def _ks_p(values: np.ndarray, fitted: Fit) -> float:
    from scipy.stats import kstest

    # The test needs the distribution at every error; of many, 1,000 at equal ranks tell as much.
    ordered = np.sort(values)
    some = ordered if len(ordered) <= 1000 else ordered[np.linspace(0, len(ordered) - 1, 1000).round().astype(int)]
    return float(kstest(some, lambda at: np.exp([fitted.log_cdf(float(a)) for a in np.atleast_1d(at)])).pvalue)
