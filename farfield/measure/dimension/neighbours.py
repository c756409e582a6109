"""Exact distances to the nearest neighbours of every point, in bounded memory."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor

# Up to this many columns a k-d tree is faster than looking at all pairs (measured at 50,000 points).
TREE_COLUMNS = 7
# How many numbers of a block of distances are held at once, unless fewer than 64 rows would fit.
BLOCK = 4_000_000
# The share of the variance that may be left out where candidates are looked for.
LEFT_OUT = 1e-3
# How many directions are tried to hold the rest.
SKETCHES = (64, 256)


def nearest_distances(x: Float[Array, "n d"], k: int, chunk: int = 1024) -> Float[Array, "n k"]:
    """Return the Euclidean distances of each row to its ``k`` nearest other rows, ascending, in float64.

    The row itself does not count, a copy of it does, at distance 0. Distances are differences of coordinates, so that close
    points are as exact as far ones. Only the search for candidates uses inner products, in float32 and along the directions
    of most variance; each row's candidates are kept only where a bound on the error proves that no other row is nearer, and
    looked for again in float64, then among all rows, where it does not. Memory grows with ``n``, time with ``n^2``; up
    to 7 columns on the CPU a k-d tree (scipy) is used.

    **Arguments:**
    - ``x``: array or tensor, one row per example.
    - ``k``: from 1 to n - 1.
    - ``chunk``: rows looked at together, at most; fewer where n is large, about 4,000,000 distances being held at once.

    Raises InputError on ``k`` or ``chunk`` out of range and on values that are not finite.

    >>> import numpy as np
    >>> nearest_distances(np.array([[0.0], [1.0], [3.0]]), 2).tolist()
    [[1.0, 3.0], [1.0, 2.0], [2.0, 3.0]]
    """
    points = tensor(x, "x", rows=2)
    n = len(points)
    if not 1 <= k < n:
        raise InputError(f"k is {k}; x has {n} rows, so it must be from 1 to {n - 1}")
    if chunk < 1:
        raise InputError(f"chunk is {chunk}; it must be at least 1")
    # By a power of two, which is exact: then no square over- or underflows.
    low, high = (float(end) for end in points.aminmax())
    scale = 2.0 ** math.frexp(max(-low, high))[1]
    points = points / scale
    if points.shape[1] <= TREE_COLUMNS and points.device.type == "cpu":
        return like(scale * _by_tree(points, k), x)
    return like(scale * _by_pairs(points, k, chunk), x)


def _by_pairs(points: Tensor, k: int, chunk: int) -> Tensor:
    n = len(points)
    distances = points.new_empty(n, k)
    rows = torch.arange(n, device=points.device)
    for search in _searches(points, k):
        # The product of many terms is quicker in larger blocks, that of a few where the block stays in the cache.
        rows = search.fill(distances, rows, min(chunk, max(64, BLOCK * (1 + search.terms // 128) // n)))
        if not len(rows):
            return distances
    for some in rows.split(max(1, min(chunk, BLOCK // n))):
        every = _direct(points[some], points)
        every[torch.arange(len(some), device=every.device), some] = torch.inf
        distances[some] = every.topk(k, largest=False).values
    return distances


class _Search:
    """Candidates by inner products in one precision along some directions, accepted where the error bound allows.

    Coordinates are between -1 and 1.

    With centred points and ``a = |y|^2 - 2 <x, y>`` the squared distance is ``a + |x|^2``. For the squared norms all
    coordinates count and for the inner product the kept ones only, so that leaving out the rest, of norm r, errs by at most
    ``2 r_x r_y``. Rounding errs by at most ``(p + 4) u (2 |x| |y| + |y|^2)`` over p terms of unit roundoff u.
    """

    def __init__(self, points: Tensor, centred: Tensor, directions: Tensor | None, k: int, dtype: torch.dtype):
        n, d = points.shape
        self.points, self.k = points, k
        kept = centred if directions is None else centred @ directions
        self.norms = torch.linalg.vector_norm(centred, dim=1)
        squares = self.norms.square()
        # Rounding may leave a residual of a few units where there is none.
        self.residual = torch.zeros_like(self.norms)
        if directions is not None:
            self.residual = ((squares - kept.square().sum(1)).clamp(min=0) + 1e-14 * squares).sqrt()
        low = dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest"
        self.unit = 2.0**-7 if low else torch.finfo(dtype).eps
        self.tiny = torch.finfo(dtype).tiny
        # What subtracting the mean may have changed in a point, whose coordinates are at most 1.
        self.moved = 2 * torch.finfo(torch.float64).eps * d**0.5
        self.candidates = min(n - 1, k + 4 + k // 4)
        # The smallest of each group are looked at first: the k smallest numbers lie in the k groups of smallest minima.
        self.group = 2 ** max(1, min(6, round((n / self.candidates) ** 0.5).bit_length() - 1))
        padded = -(-n // self.group) * self.group
        self.terms = kept.shape[1] + 1
        right = torch.zeros(padded, self.terms, dtype=dtype, device=points.device)
        right[:n, :-1] = kept
        right[:, -1] = torch.inf
        right[:n, -1] = squares
        self.right = right.T
        self.left = right[:n] * -2
        self.left[:, -1] = 1

    def fill(self, distances: Tensor, rows: Tensor, chunk: int) -> Tensor:
        """Write the distances of these rows where they are proven, and return the rows where they are not."""
        if len(rows) > 1024:
            # A few rows tell whether it is worth while.
            pilot = rows[:: len(rows) // 256][:256]
            if len(self._fill(distances, pilot, chunk)) > 64:
                return rows
        return self._fill(distances, rows, chunk)

    def _fill(self, distances: Tensor, rows: Tensor, chunk: int) -> Tensor:
        left_over = []
        block = self.right.new_empty(min(chunk, len(rows)), self.right.shape[1])
        for some in rows.split(chunk):
            found = block[: len(some)]
            torch.mm(self.left[some], self.right, out=found)
            found[torch.arange(len(some), device=found.device), some] = torch.inf
            at, last = self._smallest(found)
            exact = self._distances(some, at).sort(1).values[:, : self.k]
            distances[some] = exact
            left_over.append(some[~self._proven(some, exact[:, -1], last)])
        return torch.cat(left_over)

    def _smallest(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns (b, candidates) of the smallest values of each row, and the largest value among them (b,)."""
        b, many = len(values), self.candidates
        # A group is every (columns / group)-th column, so that the minimum runs over whole vectors.
        groups = values.view(b, self.group, -1)
        lowest = groups.amin(1)
        if lowest.shape[1] <= many:
            found = values.topk(many, largest=False)
            return found.indices, found.values.amax(1)
        chosen = lowest.topk(many, largest=False, sorted=False).indices
        inside = groups.gather(2, chosen[:, None].expand(-1, self.group, -1)).flatten(1)
        found = inside.topk(many, largest=False, sorted=False)
        columns = chosen.gather(1, found.indices % many) + (found.indices // many) * lowest.shape[1]
        return columns, found.values.amax(1)

    def _distances(self, rows: Tensor, at: Tensor) -> Tensor:
        """Return the distances (b, candidates) of rows (b,) to the points ``at`` (b, candidates)."""
        many, d = at.shape[1], self.points.shape[1]
        # A few hundred kilobytes at a time stay in the cache.
        size = max(1, 2**18 // (many * d))
        found = self.points.new_empty(at.shape)
        for low in range(0, len(rows), size):
            part = slice(low, low + size)
            gathered = self.points.index_select(0, at[part].flatten()).view(-1, many, d)
            torch.linalg.vector_norm(gathered.sub_(self.points[rows[part], None]), dim=2, out=found[part])
        return found

    def _proven(self, rows: Tensor, farthest: Tensor, last: Tensor) -> Tensor:
        """Return whether no row outside the candidates can be nearer than the farthest of the k found."""
        if self.candidates == len(self.points) - 1:
            return torch.ones_like(rows, dtype=torch.bool)
        norm = self.norms[rows]
        # A point of greater norm is farther away than that anyway.
        reach = torch.minimum(self.norms.max(), norm + farthest)
        rounding = (self.terms + 4) * (self.unit * (2 * norm * reach + reach.square()) + self.tiny)
        error = rounding + 2 * self.residual[rows] * self.residual.max() + 4 * self.moved * (norm + reach)
        return (farthest == 0) | (last.double() + norm.square() - error >= farthest.square())


def _searches(points: Tensor, k: int) -> Iterator[_Search]:
    """Yield searches, the quickest first."""
    centred = points - points.mean(0)
    directions = _leading(centred.float())
    if directions is not None:
        yield _Search(points, centred, directions, k, torch.float32)
    yield _Search(points, centred, None, k, torch.float32)
    yield _Search(points, centred, None, k, torch.float64)


def _leading(x: Float[Tensor, "n d"]) -> Float[Tensor, "d p"] | None:
    """Return orthonormal directions that hold almost all of the variance, None where it takes over a third of the columns.

    By a random sketch with one power iteration (Halko, Martinsson & Tropp, 2011), which costs less than the covariance.
    """
    n, d = x.shape
    total = float(x.square().sum())
    generator = torch.Generator(x.device).manual_seed(0)
    for size in SKETCHES:
        if 3 * size > d or n <= size:
            return None
        sketch = torch.randn(d, size, generator=generator, device=x.device)
        basis = torch.linalg.qr(x.T @ (x @ sketch)).Q
        inside = x @ basis
        variances, turned = torch.linalg.eigh((inside.T @ inside).double())
        left = total - variances.flip(0).cumsum(0)
        enough = (left <= LEFT_OUT * total).nonzero()
        if len(enough):
            kept = int(enough[0]) + 1
            # In float64, so that the directions are orthonormal to its precision.
            return torch.linalg.qr(basis.double() @ turned[:, size - kept :]).Q
    return None


def _direct(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _by_tree(points: Tensor, k: int) -> Tensor:
    from scipy.spatial import cKDTree

    tree = cKDTree(points.numpy())
    found, _ = tree.query(points.numpy(), k + 1)
    # The row itself is the first, or one of those at distance 0; dropping any one of these is the same.
    return torch.from_numpy(found[:, 1:].copy())
