"""Representational dissimilarity matrices: how far apart a representation puts every two of n stimuli."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import unknown_name
from farfield.measure._arrays import Array, like, tensor

Metric = Literal["euclidean", "correlation", "cosine"]
METRICS = ("euclidean", "correlation", "cosine")
# Numbers of a tile of distances: small enough for the processor's cache, large enough for a fast matrix product.
TILE = 2**18
# With up to so many columns scipy's own loop is faster than a matrix product.
FEW_COLUMNS = 16
# A squared distance below this share of the sum of both squared lengths has lost digits in the matrix product, and is computed anew.
CLOSE = {torch.float64: 1e-4, torch.float32: 1e-2}


def rdm(
    acts: Float[Array, "n d"], metric: Metric = "euclidean", *, dtype: torch.dtype | None = torch.float64
) -> Float[Array, "pairs"]:
    """Return the dissimilarities of every two rows, condensed: the pairs (0, 1), (0, 2), ... (n - 2, n - 1), as scipy's pdist.

    - ``euclidean``: the length of their difference.
    - ``correlation``: 1 minus Pearson's correlation of the two rows, from 0 to 2. A row whose values are all the same
      correlates with nothing: its distance is 1 to every other row, and 0 to another such row.
    - ``cosine``: 1 minus the cosine of their angle, from 0 to 2; the same holds for a row of zeros.

    Computed tile by tile from matrix products, so that beside the result (4 GB at n = 32,768 in float64) only a few copies of
    ``acts`` are needed. Distances so small that a product loses their digits are computed anew from the difference: equal rows are at
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
    if metric == "euclidean":
        return like(_euclidean(values), acts)
    rows = _directions(values, centred=metric == "correlation")
    flat = _without_direction(values, metric)
    if flat is not None:
        rows[flat] = 0
    # Half the squared difference of rows of length 1 is 1 - cosine.
    return like(_half_squares(rows, rows, rows.new_full((len(rows),), 0.5), flat, _between_0_and_2), acts)


def _euclidean(values: Tensor) -> Tensor:
    """Return the condensed Euclidean distances."""
    exact, scale = _scaled(values)
    n, d = exact.shape
    if d <= FEW_COLUMNS and exact.device.type == "cpu" and exact.dtype == torch.float64:
        found = _by_scipy(exact)
    else:
        # Around their mean, which loses fewer digits. The sum as a product is several times faster.
        rows = exact - (exact.new_ones(n) @ exact).div_(n)
        half = torch.linalg.vector_norm(rows, dim=1).square_().mul_(0.5)
        found = _half_squares(rows, exact, half, None, _length)
    return found if scale == 1 else found.mul_(scale)


def _scaled(values: Tensor) -> tuple[Tensor, float]:
    """Return values whose squares neither overflow nor vanish, and their scale: a power of two, which changes no digit."""
    low, high = values.aminmax()
    largest = max(-float(low), float(high))
    edge = torch.finfo(values.dtype).max ** 0.25
    if largest == 0 or 1 / edge < largest < edge:
        return values, 1.0
    scale = math.ldexp(1.0, min(1023, math.frexp(largest)[1]))
    return values / scale, scale


def _length(half_square: Tensor) -> Tensor:
    return half_square.mul_(2).sqrt_()


def _between_0_and_2(distance: Tensor) -> Tensor:
    return distance.clamp_(0, 2)


def _half_squares(
    rows: Tensor, exact: Tensor, half: Tensor, flat: Tensor | None, finish: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return half the squared differences of every two rows, condensed.

    **Arguments:** ``rows``, and the same ``exact`` up to a shift, where those close to each other have more digits; ``half``
    the square of each row's length; ``flat``: which rows have no direction, so that two of them are at 0; ``finish``: what is
    done to the result in place, tile by tile, while it is in the processor's cache.
    """
    n = len(rows)
    found = rows.new_empty(n * (n - 1) // 2)
    limit = CLOSE[rows.dtype] * 2 * float(half.max())
    for top, bottom, tile in _tiles(rows, half):
        part = found[_start(top, n) : _start(bottom, n)]
        _right_of_diagonal(tile, part)
        if len(part) and part.amin() < limit:
            _compute_anew(part, top, bottom, exact, half, limit)
        if flat is not None:
            _meet(part, top, bottom, flat)
        finish(part)
    return found


def _start(i: Any, n: int) -> Any:
    """Return where the pairs (i, i + 1), (i, i + 2), ... begin in the condensed form."""
    return i * (2 * n - i - 1) // 2


def _tiles(rows: Tensor, half: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Yield top, bottom and the half squared differences of rows top..bottom to rows top..n, which the next tile overwrites."""
    n = len(rows)
    if n * n <= TILE and rows.device.type == "cpu":
        # numpy sees that the two factors are one, and does half of the work.
        own = rows.numpy()
        yield 0, n, torch.from_numpy(own @ own.T).neg_().add_(half).add_(half[:, None])
        return
    # At least some tiles, since what lies left of a tile is not computed.
    height = max(1, min(-(-n // 8), TILE // n))
    space = rows.new_empty(height * n)
    for top in range(0, n - 1, height):
        bottom = min(top + height, n)
        tile = space[: (bottom - top) * (n - top)].view(bottom - top, n - top)
        torch.addmm(half[top:].expand_as(tile), rows[top:bottom], rows[top:].T, alpha=-1, out=tile)
        yield top, bottom, tile.add_(half[top:bottom, None])


def _right_of_diagonal(tile: Tensor, part: Tensor) -> None:
    """Copy the pairs of a tile: row r stands for stimulus top + r, and its pairs are with the stimuli to its right."""
    if tile.device.type == "cpu":
        # Views of numpy cost a fifth of torch's.
        np.concatenate([row[r + 1 :] for r, row in enumerate(tile.numpy())], out=part.numpy())
    else:
        torch.cat([row[r + 1 :] for r, row in enumerate(tile.unbind(0))], out=part)


def _compute_anew(part: Tensor, top: int, bottom: int, exact: Tensor, half: Tensor, limit: float) -> None:
    """Put half the squared lengths of differences in the place of products that lost their digits."""
    at = (part < limit).nonzero()[:, 0]
    begins = _start(torch.arange(top, bottom, device=part.device), len(exact)) - _start(top, len(exact))
    row = torch.searchsorted(begins, at, right=True) - 1
    i = row + top
    j = at - begins[row] + i + 1
    close = part[at] < CLOSE[exact.dtype] * (half[i] + half[j])
    at_once = max(1, TILE // exact.shape[1])
    for where, a, b in zip(*(index[close].split(at_once) for index in (at, i, j))):
        part[where] = (exact[a] - exact[b]).square_().sum(1).mul_(0.5)


def _meet(part: Tensor, top: int, bottom: int, flat: Tensor) -> None:
    """Put two rows without direction at 0."""
    n, every = len(flat), flat.nonzero()[:, 0]
    i = every[(every >= top) & (every < bottom), None]
    j = every[None, :].expand(len(i), -1)
    part[(_start(i, n) - _start(top, n) + j - i - 1)[j > i]] = 0


def _by_scipy(rows: Tensor) -> Tensor:
    from scipy.spatial.distance import pdist

    return torch.from_numpy(pdist(rows.numpy()))


def _directions(values: Tensor, *, centred: bool) -> Tensor:
    """Return rows of length 1."""
    tiny = torch.finfo(values.dtype).tiny
    low, high = torch.aminmax(values, dim=1, keepdim=True)
    rows = values / torch.maximum(-low, high).clamp_(min=tiny)
    if centred:
        rows -= rows.mean(1, keepdim=True)
    return rows.div_(torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_(min=tiny))


def _without_direction(values: Tensor, metric: str) -> Tensor | None:
    """Return which rows have no direction, None where all have one."""
    flat = (values == 0).all(1) if metric == "cosine" else values.amax(1) == values.amin(1)
    return flat if flat.any() else None
