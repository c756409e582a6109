"""GeoMLE: the pointwise maximum likelihood estimate, extrapolated to an infinitely small neighbourhood."""

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure.dimension.neighbours import nearest_distances

RIDGE = 5e-3


def extrapolated(
    points: Float[Tensor, "n d"],
    k1: int = 25,
    k2: int = 55,
    resamples: int = 20,
    *,
    chunk: int = 1024,
    seed: int = 0,
) -> Float[Tensor, "n"]:
    """Return the dimension at each point, as the constant term of a parabola in the size of the neighbourhood.

    The estimate of k neighbours is biased by the curvature and the changing density inside its radius. On bootstrap samples
    the estimate and the radius ``R_k`` of each k from ``k1`` to ``k2`` are averaged at each point; over k, the estimate is
    fitted by ``d + a R + b R^2`` with weights of one over its standard deviation and a ridge penalty of 5e-3 on a and b, and
    ``d`` is kept (Gomtsyan et al., "Geometry-aware maximum likelihood estimation of intrinsic dimension", ACML 2019).

    Differs from the authors' code: radii are divided by the mean of the largest, so that scale does not matter to the
    penalty; a point counts only in the resamples that hold it; there is one round of resamples; nothing is cut off at 0 or at
    the number of columns.

    **Arguments:**
    - ``points``: float64, different rows.
    - ``k1``, ``k2``: fewest and most neighbours, 3 <= k1 <= k2 - 3; ``resamples``: at least 2.

    A point that is in fewer than two resamples gets NaN, one in a million with 20. Raises InputError on arguments out of
    range, or fewer than ``2 k2`` points, but for at least 100 points with the defaults.

    >>> x = torch.rand(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> round(float(extrapolated(x).mean()), 1)
    2.0
    """
    n = len(points)
    if not 3 <= k1 <= k2 - 3:
        raise InputError(f"k1 is {k1} and k2 is {k2}; expected 3 <= k1 <= k2 - 3")
    if resamples < 2:
        raise InputError(f"resamples is {resamples}; it must be at least 2")
    if 0.55 * n <= k2:
        raise InputError(f"points has {n} rows; {k2} neighbours in a resample need at least {int(k2 / 0.55) + 1}")
    generator = torch.Generator().manual_seed(seed)
    count = points.new_zeros(n, 1)
    sums, squares, radii = (points.new_zeros(n, k2 - k1 + 1) for _ in range(3))
    ks = torch.arange(k1, k2 + 1, dtype=points.dtype, device=points.device)
    for _ in range(resamples):
        # Copies within a resample say nothing new: 63 % of the points are left.
        drawn = torch.randint(n, (n,), generator=generator).unique().to(points.device)
        distances = nearest_distances(points[drawn], k2, chunk)
        logs = distances.log()
        # sum over j < k of ln(T_k / T_j)
        logs_k = logs[:, k1 - 1 :]
        spread = (ks - 1) * logs_k - (logs.cumsum(1)[:, k1 - 1 :] - logs_k)
        found = (ks - 2) / spread
        count[drawn] += 1
        sums[drawn] += found
        squares[drawn] += found.square()
        radii[drawn] += distances[:, k1 - 1 :]
    mean, radius = sums / count, radii / count
    deviation = ((squares / count - mean.square()).clamp(min=0) * count / (count - 1)).sqrt()
    return _constant_term(radius / radius[:, -1].nanmean(), mean, 1 / (deviation + 1e-9 * mean))


def _constant_term(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Return d of the weighted ridge regression of y on x and x^2 in each row; NaN where a value is not finite."""
    share = weights / weights.sum(1, keepdim=True)
    powers = torch.stack([x, x.square()], 1)
    # The constant is not penalised: fit the deviations from the weighted means.
    middle, level = (powers * share[:, None]).sum(2), (y * share).sum(1)
    from_middle = powers - middle[:, :, None]
    weighted = from_middle * weights[:, None]
    penalty = RIDGE * torch.eye(2, dtype=x.dtype, device=x.device)
    left, right = weighted @ from_middle.mT + penalty, weighted @ (y - level[:, None])[:, :, None]
    result = torch.full_like(level, torch.nan)
    use = left.isfinite().all(2).all(1) & right.isfinite().all(2).all(1)
    slopes = torch.linalg.solve(left[use], right[use])[:, :, 0]
    result[use] = level[use] - (slopes * middle[use]).sum(1)
    return result
