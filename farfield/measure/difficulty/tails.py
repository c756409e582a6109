"""Logarithms of lower tails, exact where a distribution function has long become 0: what inductive bias is read from."""

import math

import numpy as np
from jaxtyping import Float

from farfield.errors import InputError

# A term of the Poisson mixture is looked at up to here; beyond, the saddlepoint is as good.
LARGEST_NONCENTRALITY = 1e6


def noncentral_chi2_log_cdf(x: float, df: float, nc: float = 0.0, scale: float = 1.0) -> float:
    """Return ``ln P(scale * Q <= x)`` for Q noncentral chi-squared, to relative precision also where P is 1e-500.

    Q is a Poisson mixture of central ones: ``P = sum_j Pois(j; nc/2) G(df/2 + j, x/2)``, G the regularised lower incomplete
    gamma function, here summed in logarithms; where G underflows, by its series.

    **Arguments:** ``x``: at 0 or below the result is -inf; ``df`` above 0; ``nc``: noncentrality from 0 to 1e6; ``scale`` above 0.

    Raises InputError on an argument out of range.

    >>> round(-noncentral_chi2_log_cdf(0.05, df=2, scale=0.1), 6), round(-noncentral_chi2_log_cdf(1e-300, df=2), 2)
    (1.508692, 691.47)
    """
    for name, value, low, high in (
        ("df", df, 0, math.inf),
        ("scale", scale, 0, math.inf),
        ("nc", nc, -1e-300, LARGEST_NONCENTRALITY),
    ):
        if not (low < value <= high and math.isfinite(value)):
            expected = f"from 0 to {high:g}" if name == "nc" else "above 0 and finite"
            raise InputError(f"{name} is {value}; it must be {expected}")
    if math.isnan(x):
        raise InputError("x is nan; expected a number")
    if x <= 0:
        return -math.inf
    if math.isinf(x):
        return 0.0
    from scipy.special import gammaln, logsumexp
    from scipy.stats import chi2, ncx2

    at = x / scale
    if at > df + nc:
        # Near 1 the upper tail has the digits.
        upper = float(ncx2.sf(at, df, nc) if nc else chi2.sf(at, df))
        return math.log1p(-upper)
    j = np.arange(int(nc / 2 + 12 * math.sqrt(nc / 2) + 40) if nc else 1, dtype=np.float64)
    weights = -nc / 2 + j * math.log(nc / 2) - gammaln(j + 1) if nc else np.zeros(1)
    return min(0.0, float(logsumexp(weights + _log_gamma_cdf(df / 2 + j, at / 2))))


def _log_gamma_cdf(a: Float[np.ndarray, " j"], x: float) -> Float[np.ndarray, " j"]:
    """Return the logarithm of the regularised lower incomplete gamma function for many shapes."""
    from scipy.special import gammainc, gammaln

    values = gammainc(a, x)
    deep = values < 1e-280
    logs = np.log(values, out=np.zeros_like(a), where=~deep)
    if deep.any():
        # x^a e^-x / Gamma(a+1) * (1 + x/(a+1) + x^2/((a+1)(a+2)) + ...): so deep, x is far below a.
        b = a[deep]
        term, total, i = np.ones_like(b), np.ones_like(b), 1
        while (term > 1e-17 * total).any():
            term *= x / (b + i)
            total += term
            i += 1
        logs[deep] = b * math.log(x) - x - gammaln(b + 1) + np.log(total)
    return logs


def sankaran_bias(x: float, df: float, nc: float, scale: float) -> float:
    """Return the released code's fallback for ``-ln P``: z^2/2 of Sankaran's normal approximation, in nats.

    For comparison with it only. It is blind to the sign of z, so it grows again above the mean, and it is far off in the
    tail: 2.8 against 7.85 at df 2, nc 0.5, scale 0.1, x 1e-4.

    Source: Sankaran, Biometrika 1963; utils.py of the code of Boopathy et al., IJCAI 2024.

    >>> round(sankaran_bias(1e-4, 2, 0.5, 0.1), 2), round(-noncentral_chi2_log_cdf(1e-4, 2, 0.5, 0.1), 2)
    (2.81, 7.85)
    """
    mean = df + nc
    h = 1 - 2 / 3 * mean * (df + 3 * nc) / (df + 2 * nc) ** 2
    p = (df + 2 * nc) / mean**2
    m = (h - 1) * (1 - 3 * h)
    z = (x / scale / mean) ** h - (1 + h * p * (h - 1 - 0.5 * (2 - h) * m * p))
    return (z / (h * math.sqrt(2 * p) * (1 + 0.5 * m * p))) ** 2 / 2


def weighted_chi2_log_cdf(
    x: float,
    weights: Float[np.ndarray, " r"],
    centres: Float[np.ndarray, "r k"],
    offset: float = 0.0,
) -> float:
    """Return ``ln P(offset + sum_ij w_i (z_ij + c_ij)^2 <= x)`` for independent standard normal z, by its saddlepoint.

    The formula of Lugannani & Rice (1980), taken in logarithms, so that it goes as deep as floats reach; nothing is drawn or
    fitted. P comes out too large by at most 17 % for one single term, 8 % for two, and below 1 % from 20 on, however deep.

    **Arguments:** ``weights`` (r,) above 0; ``centres`` (r, k): k terms share a weight; ``offset``: a constant part. At or below it
    the result is -inf; without weights it is 0 above.

    Raises InputError on a weight that is not above 0, or values that are not finite.

    Source: Lugannani & Rice, Advances in Applied Probability 1980; Kuonen, Biometrika 1999.

    >>> exact = noncentral_chi2_log_cdf(1.0, df=40)
    >>> abs(weighted_chi2_log_cdf(1.0, np.ones(4), np.zeros((4, 10))) / exact - 1) < 1e-3
    True
    """
    weights, centres = np.asarray(weights, float), np.asarray(centres, float)
    if not (
        np.isfinite(weights).all() and np.isfinite(centres).all() and math.isfinite(offset) and (weights > 0).all()
    ):
        raise InputError("weights must be finite and above 0, centres and offset finite")
    if centres.ndim != 2 or len(centres) != len(weights) or (len(weights) and not centres.shape[1]):
        raise InputError(f"centres has shape {centres.shape}; expected a row for each of {len(weights)} weights")
    at = x - offset
    if math.isnan(at):
        raise InputError("x is nan; expected a number")
    if at <= 0:
        return -math.inf
    if not len(weights) or math.isinf(at):
        return 0.0
    # By the largest weight, so that the saddlepoint lies below 1/2.
    unit = float(weights.max())
    w, copies, squares = weights / unit, centres.shape[1], centres.__pow__(2).sum(1)
    return _lugannani_rice(at / unit, w, copies, squares)


def _lugannani_rice(x: float, w: np.ndarray, copies: int, squares: np.ndarray) -> float:
    from scipy.optimize import brentq
    from scipy.special import erfcx

    def slope(t: float) -> float:
        shrunk = w / (1 - 2 * t * w)
        return float((shrunk * (copies + squares / (1 - 2 * t * w))).sum())

    mean = slope(0.0)
    if x < mean:
        low = -1.0
        while slope(low) > x:
            low *= 4
        t = brentq(lambda t: math.log(slope(t) / x), low, 0.0, xtol=1e-300, rtol=1e-14)
    else:
        gap = 0.25
        while slope(0.5 - gap) < x:
            gap /= 4
            if gap < 1e-16:
                return 0.0  # so far above the mean that nothing is left above x
        t = brentq(lambda t: math.log(slope(t) / x), 0.0, 0.5 - gap, xtol=1e-300, rtol=1e-14)
    inside = 1 - 2 * t * w
    cumulant = float((-0.5 * copies * np.log(inside) + t * w * squares / inside).sum())
    second = float((2 * (w / inside) ** 2 * (copies + 2 * squares / inside)).sum())
    root = math.copysign(math.sqrt(max(0.0, 2 * (t * x - cumulant))), t)
    u = t * math.sqrt(second)
    if abs(root) < 1e-4:
        # The limit at the mean, where both terms of the difference blow up.
        third = float((8 * w**3 * (copies + 3 * squares)).sum())
        spread = float((2 * w**2 * (copies + 2 * squares)).sum())
        return math.log(
            min(1.0, 0.5 + root / math.sqrt(2 * math.pi) + third / (6 * math.sqrt(2 * math.pi) * spread**1.5))
        )
    correction = 1 / root - 1 / u
    if root < 0:
        # ln of phi(root) (Phi/phi + 1/root - 1/u)
        mills = math.sqrt(math.pi / 2) * float(erfcx(-root / math.sqrt(2)))
        return min(0.0, -(root**2) / 2 - 0.5 * math.log(2 * math.pi) + math.log(mills + correction))
    density = math.exp(-(root**2) / 2) / math.sqrt(2 * math.pi)
    upper = 0.5 * math.erfc(root / math.sqrt(2)) - density * correction
    return math.log1p(-min(1.0, max(0.0, upper)))
