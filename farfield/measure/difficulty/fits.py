"""Distributions of test errors fitted to draws, each with a lower tail that can be read far below what was seen."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from farfield.measure.difficulty.tails import LARGEST_NONCENTRALITY, noncentral_chi2_log_cdf

# So many groups of equal size stand for the draws where a fit is repeated.
GROUPS = 256


@dataclass(frozen=True)
class Fit:
    """A fitted distribution.

    **Fields:** ``parameters`` by name; ``by``: how they were found; ``mean`` and ``sd`` of the fit; ``log_cdf``: x -> ln P(error <= x).

    >>> fit_moments(np.array([1.0, 2.0, 3.0])).mean
    2.0
    """

    parameters: dict[str, float]
    by: str
    mean: float
    sd: float
    log_cdf: Callable[[float], float] = field(repr=False)


def fit_moments(errors: np.ndarray, start: Fit | None = None) -> Fit:
    """Return the scaled chi-squared with the errors' mean and variance: df = 2 mean^2/var, scale = var / (2 mean).

    >>> round(fit_moments(np.array([1.0, 3.0])).parameters["df"], 6)
    8.0
    """
    mean, variance = float(errors.mean()), float(errors.var())
    return _chi2(2 * mean**2 / variance, 0.0, variance / (2 * mean), "moments")


def fit_gamma(errors: np.ndarray, start: Fit | None = None) -> Fit:
    """Return the gamma distribution (a scaled chi-squared of any df) of maximum likelihood.

    >>> round(fit_gamma(np.random.default_rng(0).gamma(3.0, size=20000)).parameters["df"] / 2, 1)
    3.0
    """
    from scipy.optimize import brentq
    from scipy.special import digamma

    mean = float(errors.mean())
    gap = math.log(mean) - float(np.log(errors).mean())
    # ln a - digamma(a) lies between 1/(2a) and 1/a.
    a = brentq(lambda a: math.log(a) - digamma(a) - gap, 0.4 / gap, 1.1 / gap)
    return _chi2(2 * a, 0.0, mean / (2 * a), "likelihood")


def fit_ncx2(errors: np.ndarray, start: Fit | None = None) -> Fit:
    """Return the scaled noncentral chi-squared of maximum likelihood, or by moments where that misses them by more than 5 %.

    **Arguments:** ``start``: the fit that a bootstrap repeats: by likelihood or moments as it was, beginning there, and with the
    errors in groups, which is enough for the spread.

    >>> errors = np.random.default_rng(0).noncentral_chisquare(4, 30, 4000) * 0.1
    >>> found = fit_ncx2(errors)
    >>> round(found.mean, 1), round(found.sd, 1), found.by
    (3.4, 1.1, 'likelihood')
    """
    from scipy.optimize import minimize

    moments = fit_moments(errors)
    if start is not None and start.by == "moments":
        return moments
    mean = moments.mean
    x, shares = np.sort(errors) / mean, np.full(len(errors), 1 / len(errors))
    if start is not None and len(errors) > 2 * GROUPS:
        # One group for each of the outermost, where a likelihood is decided, and equal groups between.
        ends = np.r_[0:16, np.linspace(16, len(x) - 16, GROUPS - 31).astype(int), len(x) - 15 : len(x)]
        shares = np.diff(np.r_[ends, len(x)]) / len(x)
        x = np.add.reduceat(x, ends) / (shares * len(x))

    def split(free: np.ndarray) -> tuple[float, float, float]:
        # ln of the mean, ln of df, root of nc/df: then nc = 0 is inside the range and not at its end.
        df, nc = math.exp(free[1]), math.exp(free[1]) * free[2] ** 2
        return df, nc, math.exp(free[0]) / (df + nc)

    def cost(free: np.ndarray) -> float:
        if abs(free[0]) > 5 or abs(free[1]) > 30 or abs(free[2]) > 1e4:
            return 1e300
        df, nc, scale = split(free)
        if nc > LARGEST_NONCENTRALITY or df > 1e12:
            return 1e300
        return math.log(scale) - float(shares @ log_density(x / scale, df, nc))

    if start is None:
        df = moments.parameters["df"]
        starts = [(0.0, math.log(df), 0.0), (0.0, math.log(df / 2), 0.7)]
    else:
        df, nc = start.parameters["df"], start.parameters["nc"]
        starts = [(0.0, math.log(df), math.sqrt(nc / df))]
    options = (
        {"xatol": 1e-4, "fatol": 1e-9, "maxiter": 400}
        if start is None
        else {"xatol": 0.02, "fatol": 1e-5, "maxiter": 100}
    )
    best = min((minimize(cost, s, method="Nelder-Mead", options=options) for s in starts), key=lambda found: found.fun)
    df, nc, scale = (float(v) for v in split(best.x))
    found = _chi2(df, nc, scale * mean, "likelihood")
    close = abs(found.mean / moments.mean - 1) <= 0.05 and abs(found.sd / moments.sd - 1) <= 0.05
    # A bootstrap repeats what was done, so that its spread is that of one procedure.
    return found if close or start is not None else moments


def log_density(x: Float[np.ndarray, " n"], df: float, nc: float) -> Float[np.ndarray, " n"]:
    """Return the log density of the noncentral chi-squared distribution, also where a Bessel function would underflow.

    ``-ln 2 - (x + nc)/2 + (df/4 - 1/2) ln(x/nc) + ln I_v(sqrt(nc x))`` with v = df/2 - 1.

    >>> round(float(log_density(np.array([3.0]), 4.0, 0.0)[0]), 6), round(float(log_density(np.array([3.0]), 4.0, 2.0)[0]), 6)
    (-1.787682, -2.113317)
    """
    from scipy.special import gammaln, ive

    order = df / 2 - 1
    if nc < 1e-9 * df:
        return order * np.log(x / 2) - x / 2 - math.log(2) - gammaln(df / 2)
    z = np.sqrt(nc * x)
    if order > 30:
        # Uniform expansion for large orders (DLMF 10.41.3), as exact as 1e-7 from here on.
        y = z / order
        root = np.sqrt(1 + y * y)
        p = 1 / root
        u1 = (3 * p - 5 * p**3) / 24
        u2 = (81 * p**2 - 462 * p**4 + 385 * p**6) / 1152
        bessel = order * (root + np.log(y / (1 + root))) - 0.5 * np.log(2 * math.pi * order * root)
        bessel += np.log1p(u1 / order + u2 / order**2)
    else:
        scaled = ive(order, z)
        # Where it underflows z is far below the order, and the first term of the series is enough.
        first = order * np.log(z / 2) - gammaln(order + 1)
        bessel = np.where(scaled > 1e-290, np.log(np.maximum(scaled, 1e-300)) + z, first)
    return -math.log(2) - (x + nc) / 2 + order / 2 * np.log(x / nc) + bessel


def fit_saddlepoint(errors: np.ndarray, start: Fit | None = None) -> Fit:
    """Return the empirical distribution, smoothed by the saddlepoint formula on its own cumulants.

    Only inside the errors' range: below it ``log_cdf`` is -inf, above it 0.

    Source: Davison & Hinkley, "Saddlepoint approximations in resampling methods", Biometrika 1988.

    >>> errors = np.random.default_rng(0).normal(5, 1, 5000)
    >>> round(math.exp(fit_saddlepoint(errors).log_cdf(4.0)), 2)  # 0.159 for the normal distribution
    0.16
    """
    mean, sd = float(errors.mean()), float(errors.std())
    standard = (errors - mean) / sd

    def log_cdf(x: float) -> float:
        from scipy.optimize import brentq
        from scipy.special import log_ndtr

        at = (x - mean) / sd
        if at <= standard.min():
            return -math.inf
        if at >= standard.max():
            return 0.0

        def tilted(t: float) -> tuple[float, float, float]:
            exponents = t * standard
            top = exponents.max()
            w = np.exp(exponents - top)
            first = float((w * standard).sum() / w.sum())
            return top + math.log(w.mean()), first, float((w * (standard - first) ** 2).sum() / w.sum())

        low, high = -1.0, 1.0
        while tilted(low)[1] > at:
            low *= 2
        while tilted(high)[1] < at:
            high *= 2
        t = brentq(lambda t: tilted(t)[1] - at, low, high, xtol=1e-12)
        cumulant, _, variance = tilted(t)
        root = math.copysign(math.sqrt(max(0.0, 2 * (t * at - cumulant))), t)
        u = t * math.sqrt(variance)
        if abs(root) < 1e-3:
            skewness = float((standard**3).mean())
            return float(log_ndtr(root + skewness / 6))
        # Barndorff-Nielsen's form stays between 0 and 1 where the discreteness of draws shows.
        return min(0.0, float(log_ndtr(root + math.log(u / root) / root)))

    return Fit({}, "saddlepoint", mean, sd, log_cdf)


def _chi2(df: float, nc: float, scale: float, by: str) -> Fit:
    parameters = {"df": df, "nc": nc, "scale": scale}
    return Fit(
        parameters,
        by,
        scale * (df + nc),
        scale * math.sqrt(2 * (df + 2 * nc)),
        lambda x: noncentral_chi2_log_cdf(x, df, nc, scale),
    )


FITS: dict[str, Callable[..., Fit]] = {
    "ncx2": fit_ncx2,
    "chi2": fit_moments,
    "gamma": fit_gamma,
    "saddlepoint": fit_saddlepoint,
}
