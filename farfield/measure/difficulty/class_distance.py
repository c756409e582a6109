"""How close two inputs of different class come: the detail that a classifier must resolve."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor

# How many numbers of a block of distances or of gathered rows are held at once.
BLOCK = 4_000_000


def min_class_distance(
    x: Float[Array, "n ..."],
    y: Int[Array, " n"],
    method: Literal["evt", "min"] = "evt",
    *,
    pairs: int = 4_000_000,
    largest: int = 2000,
    ignore_below: float = 0.0,
    seed: int = 0,
) -> float:
    """Return the smallest Euclidean distance between two inputs of different class.

    - ``"min"``: of the rows given, exactly, over all pairs: a property of this sample, which shrinks as data are added.
    - ``"evt"``: as far as all pairs of the data would go, estimated from random ones: the tail of 1/distance is fitted
      by the moment estimator (Dekkers, Einmahl & de Haan, 1989) to the closest of the pairs drawn, and extrapolated to the number
      of all pairs; never above the closest pair drawn. Where all pairs can be looked at, ``"min"`` needs no fit.

    0 where two inputs of different class are equal: mislabelled duplicates make any task look impossible.

    **Arguments:**
    - ``x``: (n, ...) inputs, flattened; ``y``: (n,) class numbers, at least two of them.
    - ``pairs``: how many pairs of different class are drawn, with replacement; ``largest``: how many of them make the tail, at
      least 2 and fewer than ``pairs``; both for ``"evt"``.
    - ``ignore_below``: distances below it are left out, as label noise. The released code's "sample" estimator leaves out all
      below 1 without a word, which is wrong for data of another scale.
    - ``seed``: of the pairs.

    Raises InputError on one class only, on rows that do not match, and where every distance is left out.

    Source: Boopathy et al., ICML 2023, appendix on estimating delta, and the released code.

    >>> import numpy as np
    >>> x, y = np.array([[0.0], [1.0], [1.5], [4.0]]), np.array([0, 0, 1, 1])
    >>> min_class_distance(x, y, "min"), min_class_distance(x, y, "min", ignore_below=1.0)
    (0.5, 1.5)
    """
    points = flattened(x)
    labels = classes(y, points)
    if not (ignore_below >= 0 and math.isfinite(ignore_below)):
        raise InputError(f"ignore_below is {ignore_below}; it must be at least 0 and finite")
    if method == "min":
        found = _smallest(points, labels, ignore_below)
    elif method == "evt":
        if not 2 <= largest < pairs:
            raise InputError(f"largest is {largest}; it must be from 2 to pairs - 1 = {pairs - 1}")
        found = _extreme(points, labels, pairs, largest, ignore_below, seed)
    else:
        raise InputError(f"method is {method!r}; it must be 'evt' or 'min'")
    if math.isinf(found):
        raise InputError(f"no two inputs of different class are at least ignore_below = {ignore_below:g} apart")
    return found


def flattened(x: Float[Array, "n ..."]) -> Float[Tensor, "n d"]:
    """Return inputs of any shape as one row each; refuses fewer than two.

    >>> flattened(torch.zeros(3, 2, 2)).shape, flattened(torch.zeros(3)).shape
    (torch.Size([3, 4]), torch.Size([3, 1]))
    """
    points = tensor(x, "x", dims=None, rows=2)
    return points.flatten(1) if points.ndim > 1 else points[:, None]


def classes(y: Array, points: Tensor) -> Int[Tensor, " n"]:
    """Return labels as numbers from 0 on, on the points' device; refuses fractions and a single class.

    >>> import numpy as np
    >>> classes(np.array([7, 3, 7]), torch.zeros(3, 1)).tolist()
    [1, 0, 1]
    """
    labels = tensor(y, "y", dims=1)
    same_rows(x=points, y=labels)
    if (labels != labels.round()).any():
        raise InputError("y holds fractions; expected class numbers")
    distinct, found = labels.to(points.device).unique(return_inverse=True)
    if len(distinct) < 2:
        raise InputError(f"y holds the class {distinct[0]:g} only; expected at least two classes")
    return found


def _smallest(points: Tensor, labels: Tensor, ignore_below: float) -> float:
    n, d = points.shape
    points = points - points.mean(0)
    norms = points.square().sum(1)
    smallest = math.inf
    for rows in torch.arange(n, device=points.device).split(max(1, BLOCK // n)):
        squares = torch.addmm(norms[None, :], points[rows], points.T, alpha=-2).add_(norms[rows, None])
        squares[labels[rows, None] == labels[None, :]] = math.inf
        if ignore_below:
            # Rounding may move a square by this much; what it cannot settle is looked at exactly below.
            slack = 8 * torch.finfo(points.dtype).eps * (d + 4) * float(norms.max())
            squares[squares < ignore_below**2 - slack] = math.inf
        smallest = min(smallest, _exactly(points, rows, squares, smallest, ignore_below))
    return smallest


def _exactly(points: Tensor, rows: Tensor, squares: Tensor, smallest: float, ignore_below: float) -> float:
    """Return the smallest distance of a block, by differences of coordinates: inner products lose digits where points are close.

    Every pair whose square may be the smallest, given the rounding of inner products, is looked at again.
    """
    d = points.shape[1]
    slack = 8 * torch.finfo(points.dtype).eps * (d + 4) * float(points.square().sum(1).max())
    least = squares.amin()
    if math.isinf(float(least)) or float(least) - slack > smallest**2:
        return smallest
    if ignore_below:
        # The least may lie just below the limit; the least above it bounds what is wanted.
        settled = squares[squares >= ignore_below**2 + slack]
        least = settled.amin() if len(settled) else squares[squares < math.inf].amax()
    where = (squares <= least + 2 * slack).nonzero()
    for some in where.split(max(1, BLOCK // d)):
        exact = (points[rows[some[:, 0]]] - points[some[:, 1]]).square().sum(1).sqrt()
        exact = exact[exact >= ignore_below]
        if len(exact):
            smallest = min(smallest, float(exact.amin()))
    return smallest


def _extreme(points: Tensor, labels: Tensor, pairs: int, largest: int, ignore_below: float, seed: int) -> float:
    n, d = points.shape
    generator = torch.Generator().manual_seed(seed)
    order = labels.cpu().argsort(stable=True)
    counts = labels.cpu().bincount()
    starts = counts.cumsum(0) - counts
    weights = (counts * (n - counts)).double()
    closest = points.new_empty(0)
    for start in range(0, pairs, max(1, BLOCK // d)):
        size = min(max(1, BLOCK // d), pairs - start)
        # A class by its number of pairs with others, a member of it, and one of the others: every such pair is as likely.
        own = torch.multinomial(weights, size, replacement=True, generator=generator)
        first = starts[own] + (torch.rand(size, generator=generator, dtype=torch.float64) * counts[own]).long()
        other = (torch.rand(size, generator=generator, dtype=torch.float64) * (n - counts[own])).long()
        second = other + counts[own] * (other >= starts[own])
        at, to = (order[r].to(points.device) for r in (first, second))
        distances = (points[at] - points[to]).square().sum(1).sqrt()
        closest = torch.cat([closest, distances[distances >= ignore_below]])
        closest = closest.topk(min(largest + 1, len(closest)), largest=False).values.sort().values
    if len(closest) < largest + 1:
        return float(closest[0]) if len(closest) else math.inf
    if closest[0] == 0:
        return 0.0
    all_pairs = float(n) ** 2 * (1 - 1 / len(counts))
    return min(_extrapolated(1 / closest, largest / pairs * all_pairs), float(closest[0]))


def _extrapolated(inverse: Tensor, beyond: float) -> float:
    """Return 1 / the quantile of 1/distance that lies ``beyond`` times further out than the last of these, descending."""
    last = float(inverse[-1])
    logs = (inverse[:-1] / inverse[-1]).log()
    m1, m2 = float(logs.mean()), float(logs.square().mean())
    if m2 <= m1 * m1:
        return 1 / last  # all of the closest pairs are equally close: the tail ends there
    gamma = m1 + 1 - 0.5 / (1 - m1 * m1 / m2)
    exponent = gamma * math.log(beyond)
    if exponent > 700:
        return 0.0
    grown = math.expm1(exponent) / gamma if gamma else math.log(beyond)
    return 1 / (last * (1 + m1 * grown)) if 1 + m1 * grown > 0 else math.inf
