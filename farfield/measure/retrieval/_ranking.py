"""Which items of ranked lists have the query's label, a block of queries at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor

BLOCK = 8_000_000  # distances sorted at once


def ranked_matches(dist: Array, qy: Array, gy: Array, exclude_self: bool) -> Iterator[Tensor]:
    """Yield blocks (b, length) of bool: whether the item at each rank has its query's label, the nearest first.

    Of equally near items the first comes first. With ``exclude_self``, query i leaves out item i.

    Raises InputError where shapes do not fit, or nothing is left to find.
    """
    distances = tensor(dist, "dist", dtype=None)
    queries, items = (
        tensor(values, name, dims=1, dtype=torch.int64).to(distances.device)
        for values, name in ((qy, "qy"), (gy, "gy"))
    )
    same_rows(dist=distances, qy=queries)
    if distances.shape[1] != len(items):
        raise InputError(
            f"dist has {distances.shape[1]} columns but gy {len(items)} labels; each column is an item of the gallery"
        )
    if exclude_self and distances.shape[0] != distances.shape[1]:
        raise InputError(
            f"dist has shape {tuple(distances.shape)}; to exclude each query itself, it must be square, row i being item i"
        )
    if exclude_self and len(items) < 2:
        raise InputError("dist has a single item, the query itself; expected at least two")
    at_once = max(1, BLOCK // len(items))
    for start in range(0, len(distances), at_once):
        yield matches(distances[start : start + at_once], queries[start : start + at_once], items, start, exclude_self)


def matches(distances: Tensor, queries: Tensor, items: Tensor, start: int, exclude_self: bool) -> Tensor:
    """Return a block of `ranked_matches`, whose first query is number ``start``."""
    if exclude_self:
        rows = torch.arange(len(distances), device=distances.device)
        distances = distances.clone()
        distances[rows, start + rows] = torch.inf
    found = items[distances.argsort(dim=1, stable=True)] == queries[:, None]
    # The query itself is at an infinite distance, so it is last.
    return found[:, :-1] if exclude_self else found


def first_matches(found: Tensor, topk: int) -> Tensor:
    """Return for each query whether it has a match among the first 1, ..., topk items (queries, topk)."""
    return found[:, :topk].cummax(1).values


def precisions(found: Tensor) -> Tensor:
    """Return the average precision of each query (queries,), 0 where nothing is relevant."""
    ranks = torch.arange(1, found.shape[1] + 1, device=found.device)
    precision = found.cumsum(1).double() / ranks
    return (precision * found).sum(1) / found.sum(1).clamp(min=1)
