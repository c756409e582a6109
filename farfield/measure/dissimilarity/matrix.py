"""Representational dissimilarity matrices: how far apart a representation puts every two of n stimuli."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import unknown_name
from farfield.measure._arrays import Array, like, tensor

Metric = Literal["euclidean", "correlation", "cosine"]
METRICS = ("euclidean", "correlation", "cosine")
# Numbers of a tile of distances: small enough for the processor's cache, large enough for a fast matrix product.
TILE = 2**19
# With up to so many columns scipy's own loop is faster than a matrix product.
FEW_COLUMNS = 16
# A squared distance below this share of the squared lengths has lost digits in the matrix product, and is computed anew.
CLOSE = {torch.float64: 1e-4, torch.float32: 1e-2}


def rdm(
    acts: Float[Array, "n d"], metric: Metric = "euclidean", *, dtype: torch.dtype | None = torch.float64
) -> Float[Array, "pairs"]:
    """Return the dissimilarities of every two rows, condensed: the pairs (0, 1), (0, 2), ... (n - 2, n - 1), as scipy's pdist.

    - ``euclidean``: the length of their difference.
    - ``correlation``: 1 minus Pearson's correlation of the two rows, from 0 to 2. A row whose values are all the same
      correlates with nothing: its distance is 1 to every other row, and 0 to another such row.
    - ``cosine``: 1 minus the cosine of their angle, from 0 to 2; the same holds for a row of zeros.

    Computed tile by tile from matrix products, so that beside the result (4 GB at n = 32,768 in float64) only some MB are
    needed. Distances so small that a product loses their digits are computed anew from the difference: equal rows are at
    exactly 0, and the others agree with pdist to about 1e-11 of their size (1e-4 in float32).

    **Arguments:**
    - ``acts``: a row for each of n stimuli, at least 2.
    - ``dtype``: to compute in and of the result; None keeps float32 where ``acts`` is, for twice the speed and half the memory.

    Raises InputError on fewer rows, a value that is not finite or an unknown metric.

    Source: Kriegeskorte, Mur & Bandettini, "Representational similarity analysis", 2008; Lin & Kriegeskorte, PNAS 2024, methods.

    >>> import numpy as np
    >>> rdm(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))
    array([ 5., 10.,  5.])
    """
    if metric not in METRICS:
        raise unknown_name("metric", str(metric), METRICS)
    values = tensor(acts, "acts", rows=2, dtype=dtype)
    flat, scale = None, 1.0
    if metric == "euclidean":
        exact, scale = _scaled(values)
        if exact.shape[1] <= FEW_COLUMNS and exact.device.type == "cpu" and exact.dtype == torch.float64:
            return like(_by_scipy(exact).mul_(scale), acts)
        # Around their mean, which loses fewer digits in the products.
        rows = exact - exact.mean(0)
    else:
        exact = rows = _directions(values, centred=metric == "correlation")
        flat = _without_direction(values, metric)
        if flat is not None:
            rows[flat] = 0
    n = len(rows)
    found = rows.new_empty(n * (n - 1) // 2)
    # At least a few tiles, since what lies left of a tile is not computed.
    height = max(1, min(-(-n // 4), TILE // n))
    done = 0
    for top in range(0, n - 1, height):
        tile = _tile(rows, exact, slice(top, min(top + height, n)), flat, metric == "euclidean")
        # Row r of the tile starts at stimulus top; its pairs are those to its right.
        pieces = [row[r + 1 :] for r, row in enumerate(tile.unbind(0))]
        size = sum(map(len, pieces))
        torch.cat(pieces, out=found[done : done + size])
        done += size
    return like(found.mul_(scale) if scale != 1 else found, acts)


def _by_scipy(rows: Tensor) -> Tensor:
    from scipy.spatial.distance import pdist

    return torch.from_numpy(pdist(rows.numpy()))


def _scaled(values: Tensor) -> tuple[Tensor, float]:
    """Return values of at most 1, so that no square can overflow, and the scale: a power of two, which changes no digit."""
    largest = float(values.abs().max())
    if largest == 0:
        return values, 1.0
    scale = math.ldexp(1.0, min(1023, math.frexp(largest)[1]))
    return values / scale, scale


def _directions(values: Tensor, *, centred: bool) -> Tensor:
    """Return rows of length 1."""
    tiny = torch.finfo(values.dtype).tiny
    rows = values / values.abs().amax(1, keepdim=True).clamp_(min=tiny)
    if centred:
        rows -= rows.mean(1, keepdim=True)
    return rows.div_(torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_(min=tiny))


def _without_direction(values: Tensor, metric: str) -> Tensor | None:
    """Return which rows have no direction, None where all have one."""
    flat = (values == 0).all(1) if metric == "cosine" else values.amax(1) == values.amin(1)
    return flat if flat.any() else None


def _tile(rows: Tensor, exact: Tensor, at: slice, flat: Tensor | None, euclidean: bool) -> Tensor:
    """Return the distances of the rows ``at`` to all from there on; for directions half the squared ones, 1 - cosine.

    What stands on and below the diagonal is no pair, and not to be used.
    """
    left, right = rows[at], rows[at.start :]
    if euclidean:
        length = right.square().sum(1)
        tile = torch.addmm(length[: len(left), None] + length, left, right.T, alpha=-2)
        limit = CLOSE[rows.dtype] * 2 * length.max()
    else:
        tile = torch.addmm(rows.new_ones(()), left, right.T, alpha=-1)
        limit = CLOSE[rows.dtype]
    below = torch.ones(len(left), len(left), dtype=torch.bool, device=rows.device).tril_()
    tile[:, : len(left)].masked_fill_(below, torch.inf)
    if tile.amin() < limit:
        close = tile < (CLOSE[rows.dtype] * (length[: len(left), None] + length) if euclidean else limit)
        _compute_anew(tile, close, exact[at], exact[at.start :], 1.0 if euclidean else 0.5)
    if euclidean:
        return tile.sqrt_()
    if flat is not None:
        tile[flat[at, None] & flat[at.start :]] = 0
    return tile.clamp_(max=2)


def _compute_anew(tile: Tensor, close: Tensor, left: Tensor, right: Tensor, factor: float) -> None:
    """Put the squared lengths of differences, times a factor, in the place of what the product could not tell apart."""
    i, j = close.nonzero(as_tuple=True)
    at_once = max(1, TILE // left.shape[1])
    for a, b in zip(i.split(at_once), j.split(at_once)):
        tile[a, b] = (left[a] - right[b]).square_().sum(1).mul_(factor)
