"""How many dimensions a cloud of points has, whatever the number of its columns."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array, like, tensor
from farfield.measure.dimension.geomle import extrapolated
from farfield.measure.dimension.neighbours import nearest_distances

METHODS = ("mle", "twonn", "geomle")
AVERAGES = ("inverse", "mean")


@dataclass(frozen=True)
class DimensionEstimate:
    """An intrinsic dimension and how sure it is.

    **Fields:** ``value``; ``standard_error`` of sampling (not of the bias, which grows with the dimension); ``n``: points that
    were used; ``copies``: rows that were left out as copies of another.

    >>> found = DimensionEstimate(value=4.0, standard_error=0.1, n=500, copies=0)
    >>> f"{found.value} +- {1.96 * found.standard_error:.2f}"
    '4.0 +- 0.20'
    """

    value: float
    standard_error: float
    n: int
    copies: int


def intrinsic_dimension(
    x: Float[Array, "n ..."],
    method: str = "mle",
    k: int = 20,
    average: str = "inverse",
    max_samples: int | None = None,
    chunk: int = 1024,
    *,
    pointwise: bool = False,
    seed: int = 0,
) -> float | Float[Array, "n"]:
    """Return the intrinsic dimension of points, from the distances to their nearest neighbours.

    - ``"mle"``: at each point ``m^-1 = 1/(k - 2) sum_j ln(T_k / T_j)`` over the distances ``T_1 <= ... <= T_k`` to its
      neighbours; the dimension is one over the mean of ``m^-1`` (Levina & Bickel, 2004; MacKay & Ghahramani, 2005).
    - ``"twonn"``: the slope through the origin of ``-ln(1 - i/n)`` on the i-th smallest ``ln(T_2 / T_1)``, the largest
      left out (Facco et al., 2017).
    - ``"geomle"``: estimates of 25 to 55 neighbours on 20 resamples, extrapolated to distance 0 at each point, see
      `farfield.measure.dimension.geomle` (Gomtsyan et al., 2019).

    Rotation, translation, scale and constant columns change nothing. High dimensions are underestimated from few points: 16
    as about 11 from 2,000 points by "mle". Compare sets at the same n, by ``max_samples``.

    **Arguments:**
    - ``x``: one row per point; further axes are flattened. Copies of a row are left out first.
    - ``k``: neighbours for "mle", from 3 to n - 1; the others do not use it.
    - ``average``: of "mle", "inverse" as above, or "mean", the mean of the pointwise estimates (Levina & Bickel; higher).
    - ``max_samples``: use that many rows at most, drawn by ``seed``. The resamples of "geomle" are drawn by it too.
    - ``chunk``: see `nearest_distances`.
    - ``pointwise``: return the estimate at each row, (n,), in place of their average; not for "twonn", nor with
      ``max_samples``.

    Points of which every k neighbours are equally far (the corners of a simplex) have infinite dimension: inf is returned.

    Raises InputError on an unknown method or average, an argument out of range, a value that is not finite, or too few
    different rows: k + 1 for "mle", 3 for "twonn", 100 for "geomle".

    Source: Konz & Mazurowski, ICLR 2024, section 3; their code takes "mle" with k = 20 for data.

    >>> x = torch.rand(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> plane = torch.cat([x, x.sum(1, keepdim=True)], 1)
    >>> round(intrinsic_dimension(plane), 1), round(intrinsic_dimension(plane, "twonn"), 1)
    (1.8, 2.1)
    """
    rows = _rows(x, method, average, k, max_samples, seed, pointwise)
    if method == "geomle":
        points, at = _different(rows, 100, method)
        local = extrapolated(points, chunk=chunk, seed=seed)
        return like(local[at], x) if pointwise else float(local.nanmean())
    distances, at = _distances(rows, method, k, chunk)
    if method == "twonn":
        return _twonn(distances)[0]
    inverse = _inverse(distances)
    if pointwise:
        return like((1 / inverse)[at], x)
    return float(1 / inverse.mean() if average == "inverse" else (1 / inverse).mean())


def dimension_estimate(
    x: Float[Array, "n ..."],
    method: str = "mle",
    k: int = 20,
    max_samples: int | None = None,
    chunk: int = 1024,
    *,
    seed: int = 0,
) -> DimensionEstimate:
    """Return the intrinsic dimension by "mle" (averaged by "inverse") or "twonn" with its standard error.

    "mle": ``d s / (m sqrt(n))`` with mean m and standard deviation s of the pointwise ``m^-1`` (delta method). "twonn":
    ``d sqrt(5 / (4 n))``, the variance of the regression on n independent exponential variables; that of the maximum
    likelihood would be ``d^2 / n``. Both take the points as independent; neighbours share distances, so that over repeated
    samples of 300 to 3,000 normal points the spread was 1.1 to 1.3 times as large.

    **Arguments:** as `intrinsic_dimension`. An infinite dimension has an infinite error.

    Raises InputError as `intrinsic_dimension` does.

    >>> x = torch.rand(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> found = dimension_estimate(torch.cat([x, x[:20]]))
    >>> round(found.value, 1), round(found.standard_error, 2), found.n, found.copies
    (1.8, 0.02, 500, 20)
    """
    if method == "geomle":
        raise InputError("geomle has no standard error here; method must be 'mle' or 'twonn'")
    rows = _rows(x, method, "inverse", k, max_samples, seed, pointwise=False)
    distances, at = _distances(rows, method, k, chunk)
    n, copies = len(distances), len(at) - len(distances)
    if method == "twonn":
        value, error = _twonn(distances)
        return DimensionEstimate(value, error, n, copies)
    inverse = _inverse(distances)
    mean = float(inverse.mean())
    if mean == 0:
        return DimensionEstimate(math.inf, math.inf, n, copies)
    return DimensionEstimate(1 / mean, float(inverse.std()) / (mean**2 * math.sqrt(n)), n, copies)


def _rows(
    x: Array, method: str, average: str, k: int, max_samples: int | None, seed: int, pointwise: bool
) -> Float[Tensor, "n d"]:
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if average not in AVERAGES:
        raise unknown_name("average", average, AVERAGES)
    if pointwise and (method == "twonn" or max_samples is not None):
        what = "twonn" if method == "twonn" else "max_samples"
        raise InputError(f"pointwise is not possible with {what}: there is no estimate at every row")
    if method == "mle" and k < 3:
        raise InputError(f"k is {k}; it must be at least 3")
    if max_samples is not None and max_samples < 1:
        raise InputError(f"max_samples is {max_samples}; it must be at least 1")
    rows = tensor(x, "x", dims=None)
    rows = rows.reshape(len(rows), -1)
    if max_samples is not None and max_samples < len(rows):
        drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:max_samples]
        rows = rows[drawn.to(rows.device)]
    return rows


def _distances(rows: Tensor, method: str, k: int, chunk: int) -> tuple[Float[Tensor, "m k"], Tensor]:
    """Return the nearest distances of the different points, and which of them each row is."""
    k = 2 if method == "twonn" else k
    if len(rows) > k:
        distances = nearest_distances(rows, k, chunk)
        # Sorting whole rows to find copies is only worth while where there are some.
        if (distances[:, 0] > 0).all():
            return distances, torch.arange(len(rows), device=rows.device)
    points, at = _different(rows, k + 1, method)
    distances = nearest_distances(points, k, chunk)
    if (distances[:, 0] == 0).any():
        raise InputError("x has different rows whose distance is 0 in float64: they are too close for their size")
    return distances, at


def _different(rows: Tensor, least: int, method: str) -> tuple[Float[Tensor, "m d"], Tensor]:
    """Return the different rows, and which of them each row is."""
    points, at = torch.unique(rows, dim=0, return_inverse=True)
    if len(points) < least:
        raise InputError(f"x has {len(points)} different rows; {method} needs at least {least}")
    return points, at


def _inverse(distances: Tensor) -> Tensor:
    """Return the pointwise inverse dimensions (n,) of distances (n, k), all above 0."""
    logs = distances.log()
    k = logs.shape[1]
    return (logs[:, -1:] - logs[:, :-1]).sum(1) / (k - 2)


def _twonn(distances: Tensor) -> tuple[float, float]:
    """Return dimension and standard error from the two nearest distances (n, 2)."""
    logs = distances.log()
    n = len(logs)
    ratios = (logs[:, 1] - logs[:, 0]).sort().values[:-1]  # ln mu_i
    expected = -torch.log1p(-torch.arange(1, n, dtype=ratios.dtype, device=ratios.device) / n)
    squares = float(ratios @ ratios)
    if squares == 0:
        return math.inf, math.inf
    value = float(ratios @ expected) / squares
    return value, value * math.sqrt(1.25 / n)
