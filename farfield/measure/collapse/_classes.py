"""What the measures of collapse share: checked class means, directions, and all pairs of classes in bounded memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor

# Squared distances below this share of the squared norms have lost digits in the inner product, and are computed anew.
NEAR = 1e-6


def centred(means: Array, global_mean: Array | None, *, rows: int = 2) -> Tensor:
    """Return class means minus the global mean (as they are where it is None), as float64."""
    m = tensor(means, "means", rows=rows)
    if global_mean is None:
        return m
    middle = tensor(global_mean, "global_mean", dims=1).to(m.device)
    if len(middle) != m.shape[1]:
        raise InputError(f"global_mean has {len(middle)} dimensions but means has {m.shape[1]}")
    return m - middle


def directions(m: Tensor) -> Tensor:
    """Return rows of length 1; a row of zeros has no direction and stays zero."""
    norms = torch.linalg.vector_norm(m, dim=1, keepdim=True)
    return m / norms.where(norms > 0, 1)


def pairs(x: Tensor, tile: int) -> Iterator[tuple[slice, slice, Tensor, Tensor | None]]:
    """Yield tiles (rows, columns, squared distances, keep) that cover each pair of rows once.

    ``keep`` marks the pairs above the diagonal in a tile on it, and is None elsewhere: see `flat`.
    """
    if tile < 1:
        raise InputError(f"tile is {tile}; it must be at least 1")
    # Distances do not change, and around the middle the inner products lose the fewest digits.
    x = x - x.mean(0)
    norms = x.square().sum(1)
    parts = [slice(i, min(i + tile, len(x))) for i in range(0, len(x), tile)]
    for a, rows in enumerate(parts):
        for columns in parts[a:]:
            both = norms[rows, None] + norms[columns]
            squared = torch.addmm(both, x[rows], x[columns].T, alpha=-2)
            _recompute(squared, squared <= NEAR * both, x[rows], x[columns])
            keep = torch.ones_like(squared, dtype=torch.bool).triu_(1) if rows == columns else None
            if keep is None or len(squared) > 1:
                yield rows, columns, squared, keep


def flat(grid: Tensor, keep: Tensor | None) -> Tensor:
    """Return the pairs of a tile as one row of numbers."""
    return grid.flatten() if keep is None else grid[keep]


def _recompute(squared: Tensor, near: Tensor, a: Tensor, b: Tensor) -> None:
    i, j = torch.nonzero(near, as_tuple=True)
    step = max(1, 2_000_000 // a.shape[1])
    for p, q in zip(i.split(step), j.split(step)):
        squared[p, q] = (a[p] - b[q]).square().sum(1)
