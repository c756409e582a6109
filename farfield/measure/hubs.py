"""Whether a few rows are the nearest neighbours of very many others."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor

BLOCK = 16_000_000  # distances held at once


@dataclass(frozen=True)
class Hubness:
    """How unevenly rows serve as neighbours.

    **Fields:**
    - ``counts``: (n,) int64, for how many rows this one is among the k nearest; the mean is k.
    - ``skewness``: of the counts, about 0 without hubs; 0 where all counts are equal.
    - ``orphans``: the share of rows that are nobody's neighbour.
    - ``largest``: the share of all rows that have the greatest hub among their neighbours.
    """

    counts: Array
    skewness: float
    orphans: float
    largest: float


def hubness(x: Float[Array, "n d"], k: int = 10) -> Hubness:
    """Return how unevenly rows serve as the ``k`` nearest neighbours (Euclidean) of other rows.

    In many dimensions some points come close to all others and retrieval finds them for every query. Time grows with
    ``n^2``, memory with n. Of several rows at exactly the same distance any may count.

    **Arguments:** ``k``: from 1 to n - 1.

    Raises InputError on ``k`` out of range and on values that are not finite.

    Source: Radovanovic et al., "Hubs in space", JMLR 2010: the skewness of the k-occurrences N_k.

    >>> import numpy as np
    >>> star = np.array([[0.0, 0.0], [1.0, 0.0], [-1.1, 0.0], [0.0, 1.2], [0.0, -1.3]])
    >>> hubness(star, k=1).counts.tolist()
    [4, 1, 0, 0, 0]
    """
    rows = tensor(x, "x", rows=2)
    n = len(rows)
    if not 1 <= k < n:
        raise InputError(f"k is {k}; x has {n} rows, so it must be from 1 to {n - 1}")
    # Distances do not change, and are more exact around the middle.
    rows = rows - rows.mean(0)
    counts = torch.zeros(n, dtype=torch.long, device=rows.device)
    for at in torch.arange(n, device=rows.device).split(max(1, BLOCK // n)):
        counts += torch.bincount(_nearest(rows, at, k).flatten(), minlength=n)
    spread = counts.double() - k
    deviation = float(spread.square().mean().sqrt())
    return Hubness(
        like(counts.cpu() if not isinstance(x, Tensor) else counts, x),
        float(spread.pow(3).mean()) / deviation**3 if deviation else 0.0,
        float((counts == 0).double().mean()),
        float(counts.max()) / n,
    )


def _nearest(rows: Tensor, at: Tensor, k: int) -> Tensor:
    distances = torch.cdist(rows[at], rows)
    distances[torch.arange(len(at), device=at.device), at] = torch.inf
    return distances.topk(k, largest=False).indices
