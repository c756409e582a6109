"""Whether a number first rises and then falls along another: a quadratic fit, and Simonsohn's test with two lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farfield.errors import InputError

# Two lines have four coefficients, and need two values on each side of where they meet.
LEAST_FOR_TWO_LINES = 6


@dataclass(frozen=True)
class TwoLines:
    """Two lines that meet at ``at``: their slopes and two-sided p values; ``inverted``: up, then down, both at 5 %.

    >>> TwoLines(at=0.0, slopes=(1.0, -1.0), p=(0.01, 0.2)).inverted
    False
    """

    at: float
    slopes: tuple[float, float]
    p: tuple[float, float]

    @property
    def inverted(self) -> bool:
        return self.slopes[0] > 0 > self.slopes[1] and max(self.p) < 0.05


@dataclass(frozen=True)
class InvertedU:
    """A quadratic ``a + b x + c x^2`` through n points.

    **Fields:** ``coefficients`` (a, b, c); ``interval`` of c, from resampling the points; ``maximum``: where its top lies, None unless c is
    below 0; ``inside``: the top lies between the least and the greatest x; ``end_slopes``: of the quadratic at these two, so "inside" is up at
    the first and down at the second; ``two_lines``: None with fewer than 6 points, or fewer than 2 on a side.

    >>> found = inverted_u_test([0, 1, 2, 3], [0, 2, 2, 0])
    >>> round(found.maximum, 6), found.inside, found.two_lines
    (1.5, True, None)
    """

    coefficients: tuple[float, float, float]
    interval: tuple[float, float]
    maximum: float | None
    inside: bool
    end_slopes: tuple[float, float]
    two_lines: TwoLines | None
    n: int

    @property
    def quadratic(self) -> float:
        """The coefficient of x^2."""
        return self.coefficients[2]


def inverted_u_test(
    x: Sequence[float], y: Sequence[float], *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> InvertedU:
    """Return whether y is an inverted U over x: a second-order polynomial regression, and two straight lines.

    A negative quadratic coefficient alone does not make an inverted U: a curve that flattens has it too. The two lines ask for
    a rise before and a fall after a break. The break is put where the fitted curve is within a standard error of its top, and there
    nearer to the line that is less sure ("Robin Hood").

    **Arguments:** ``x``, ``y``: (n,) finite numbers, at least 4 with 3 different x; ``resamples``: of the points, at least 100;
    ``confidence``: of the interval, above 0 and below 1; ``seed``: of the resamples; those with fewer than 3 different x are left out.

    Raises InputError where the lengths differ, a number is not finite, or there are too few.

    Source: Shi et al., ICML 2023 (quadratic of log complexity on log entropy); Simonsohn, AMPPS 2018 (two lines), whose smooth curve for
    the break is a spline with robust errors; here it is the quadratic, with ordinary ones, as fits few points.

    >>> x = np.linspace(-1, 1, 30)
    >>> found = inverted_u_test(x, 1 - x**2 + 0.05 * np.cos(40 * x))
    >>> found.interval[1] < 0, found.inside, found.two_lines.inverted
    (True, True, True)
    """
    at, values = (np.asarray(v, dtype=np.float64) for v in (x, y))
    if at.ndim != 1 or at.shape != values.shape:
        raise InputError(f"x has shape {at.shape} but y has {values.shape}; expected two rows of the same length")
    if not (np.isfinite(at).all() and np.isfinite(values).all()):
        raise InputError("x or y holds a number that is not finite")
    if len(at) < 4 or len(np.unique(at)) < 3:
        raise InputError(
            f"x has {len(at)} numbers, {len(np.unique(at))} of them different; expected at least 4, and 3 different ones"
        )
    if resamples < 100 or not 0 < confidence < 1:
        raise InputError(
            f"resamples is {resamples} and confidence {confidence}; expected at least 100, and between 0 and 1"
        )
    # Centred and scaled, so that large x lose no digits; the coefficients are brought back below.
    middle, scale = at.mean(), at.std()
    z = (at - middle) / scale
    design = np.stack([np.ones_like(z), z, z**2], 1)
    scaled = np.linalg.lstsq(design, values, rcond=None)[0]
    c = scaled[2] / scale**2
    b = scaled[1] / scale - 2 * c * middle
    a = scaled[0] - scaled[1] * middle / scale + c * middle**2
    rng = np.random.default_rng([seed, 0x1A7])
    drawn = rng.integers(len(z), size=(resamples, len(z)))
    enough = (np.diff(np.sort(z[drawn], 1), axis=1) > 0).sum(1) >= 2
    rows, targets = design[drawn[enough]], values[drawn[enough]][:, :, None]
    resampled = (np.linalg.pinv(rows) @ targets)[:, 2, 0] / scale**2
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    ends = tuple(float(b + 2 * c * end) for end in (at.min(), at.max()))
    maximum = float(-b / (2 * c)) if c < 0 else None
    return InvertedU(
        (float(a), float(b), float(c)),
        (float(low), float(high)),
        maximum,
        maximum is not None and ends[0] > 0 > ends[1],
        ends,
        _two_lines(at, values, design, scaled),
        len(at),
    )


def _two_lines(x: np.ndarray, y: np.ndarray, design: np.ndarray, coefficients: np.ndarray) -> TwoLines | None:
    if len(x) < LEAST_FOR_TWO_LINES:
        return None
    fitted = design @ coefficients
    left = y - fitted
    # Standard error of each fitted value.
    spread = np.sqrt(np.einsum("ij,jk,ik->i", design, np.linalg.pinv(design.T @ design), design))
    spread = spread * np.sqrt(left @ left / (len(x) - 3))
    order = np.argsort(x, kind="stable")
    inner = order[1:-1]
    top = inner[np.argmax(fitted[inner])]
    near = np.sort(x[inner][fitted[inner] >= fitted[top] - spread[top]])
    first = _interrupted(x, y, float(np.median(near)))
    if first is None:
        return None
    # The less sure line gets more points.
    z = np.abs(first[1])
    share = float(z[1] / z.sum()) if z.sum() > 0 else 0.5
    break_at = float(np.quantile(near, share))
    final = _interrupted(x, y, break_at)
    return None if final is None else TwoLines(break_at, *_tuples(final[0], final[2]))


def _interrupted(x: np.ndarray, y: np.ndarray, at: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return slopes, t values and p values of a line up to ``at`` and one after it, with a jump between them."""
    from scipy import stats

    slopes, errors, p = np.zeros(2), np.zeros(2), np.zeros(2)
    after = x > at
    if min(len(np.unique(x[side])) for side in (after, ~after)) < 2:
        return None
    design = np.stack([np.ones_like(x), np.minimum(x - at, 0), np.maximum(x - at, 0), after.astype(float)], 1)
    solution, _, _, _ = np.linalg.lstsq(design, y, rcond=None)
    left, free = y - design @ solution, len(x) - 4
    covariance = np.linalg.pinv(design.T @ design) * (left @ left) / free
    slopes, errors = solution[1:3], np.sqrt(np.diag(covariance)[1:3])
    with np.errstate(divide="ignore", invalid="ignore"):
        # Lines without any error are as sure as can be; a slope of zero says nothing.
        t = np.where(slopes == 0, 0.0, slopes / errors)
    t = np.clip(t, -1e12, 1e12)
    p = 2 * stats.t.sf(np.abs(t), free)
    return slopes, t, p


def _tuples(*arrays: np.ndarray) -> list[tuple[float, float]]:
    return [(float(a[0]), float(a[1])) for a in arrays]
