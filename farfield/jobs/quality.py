"""How good search is, query by query: by which rows are near, with what they are compared, and how sure the mean is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from farfield.errors import InputError

BLOCK = 16_000_000  # similarities held at once
RESAMPLES = 2000


def nearest(gallery: Tensor, queries: Tensor, k: int, *, own: Tensor | None = None) -> Tensor:
    """Return the k rows of a gallery nearest each query by cosine, the nearest first: (queries, k) row numbers.

    Exact: all similarities, in blocks. **Arguments:** ``own``: (queries,) the row that is the query itself, never
    found; None where
    no query is in the gallery.

    Raises InputError where the gallery has too few rows.

    >>> nearest(torch.eye(3), torch.eye(3), 1, own=torch.arange(3)).shape
    torch.Size([3, 1])
    """
    most = len(gallery) - (own is not None)
    if k > most:
        raise InputError(f"{k} nearest rows were asked for and there are {most} to be found")
    units = F.normalize(gallery, dim=1).T
    found, step = [], max(1, BLOCK // len(gallery))
    for start in range(0, len(queries), step):
        similar = F.normalize(queries[start : start + step], dim=1) @ units
        if own is not None:
            similar.scatter_(1, own[start : start + step, None], -torch.inf)
        found.append(similar.topk(k, dim=1).indices)
    return torch.cat(found)


def shared(found: Tensor, wanted: Tensor) -> Tensor:
    """Return for each query which share of the wanted rows (n, k) is among those found (n, k).

    >>> shared(torch.tensor([[1, 2]]), torch.tensor([[2, 3]])).tolist()
    [0.5]
    """
    return (found[:, :, None] == wanted[:, None, :]).any(1).double().mean(1)


def vote(found: Tensor, classes: Tensor, own: Tensor) -> Tensor:
    """Return for each query whether most of the rows found are of its class, as 0 and 1; of tied classes the first
    counts.

    **Arguments:** ``classes``: of the gallery's rows; ``own``: of the queries.

    >>> vote(torch.tensor([[0, 1, 2]]), torch.tensor([5, 5, 0]), torch.tensor([5])).tolist()
    [1.0]
    """
    labels = classes[found]
    votes = torch.zeros(len(found), int(classes.max()) + 1).scatter_add_(1, labels, torch.ones(labels.shape))
    return (votes.argmax(1) == own).double()


def average_precision(found: Tensor, classes: Tensor, own: Tensor) -> Tensor:
    """Return for each query the average precision at k; its mean is `farfield.measure.map_at_k`.

    **Arguments** as `vote`.

    >>> average_precision(torch.tensor([[0, 1]]), torch.tensor([7, 3]), torch.tensor([7])).tolist()
    [0.5]
    """
    relevant = (classes[found] == own[:, None]).double()
    ranks = torch.arange(1, found.shape[1] + 1)
    return (relevant.cumsum(1) / ranks * relevant).mean(1)


def interval(values: Tensor, *, seed: int = 0) -> dict[str, float]:
    """Return the mean over queries with its 95 % bootstrap interval (percentiles of 2,000 resamples).

    >>> interval(torch.ones(20))
    {'mean': 1.0, 'low': 1.0, 'high': 1.0}
    """
    numbers = np.asarray(values, dtype=np.float64)
    rng, means = np.random.default_rng([seed, 1]), []
    # In blocks of resamples: all at once would hold 2,000 numbers for each query.
    step = max(1, 2_000_000 // len(numbers))
    for start in range(0, RESAMPLES, step):
        draws = rng.integers(0, len(numbers), size=(min(step, RESAMPLES - start), len(numbers)))
        means.append(numbers[draws].mean(1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return {"mean": float(numbers.mean()), "low": float(low), "high": float(high)}
