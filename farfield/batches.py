"""Which examples each training step sees: streams of index tensors, drawn ahead of training."""

from collections.abc import Iterator

import torch
from torch import Tensor

from farfield.errors import InputError


def uniform(n: int, batch_size: int, *, seed: int) -> Iterator[Tensor]:
    """Yield index batches without end: every example once per epoch, in a new order each epoch.

    **Arguments:** ``n`` examples; ``batch_size`` indices per batch (n where that is smaller). Batches run across the end
    of an epoch, so all have one size.

    >>> stream = uniform(4, 2, seed=0)
    >>> sorted(torch.cat([next(stream), next(stream)]).tolist())
    [0, 1, 2, 3]
    """
    _check(n, batch_size)
    generator = torch.Generator().manual_seed(seed)
    size = min(batch_size, n)
    rest = torch.empty(0, dtype=torch.long)
    while True:
        # Whole epochs at a time: splitting one permutation costs far less than drawing each batch.
        rest = torch.cat([rest, torch.randperm(n, generator=generator)])
        *full, rest = rest.split(size) if len(rest) % size else (*rest.split(size), rest[:0])
        yield from full


def by_domain(domain: Tensor, batch_size: int, *, seed: int) -> Iterator[Tensor]:
    """Yield index batches in which each training domain has the same number of examples.

    **Arguments:** ``domain`` (n,) int64; ``batch_size`` is rounded down to a multiple of the domains in a batch, of which
    there are two at least. A batch holds every domain, one after the other; where there are more than batch_size / 8 of them, each batch draws that many
    at random (the group sampling of WILDS; balanced minibatches as in DomainBed).

    >>> stream = by_domain(torch.tensor([0, 0, 0, 0, 1, 1]), 4, seed=0)
    >>> torch.tensor([0, 0, 0, 0, 1, 1])[next(stream)].tolist()
    [0, 0, 1, 1]
    """
    _check(len(domain), batch_size)
    rows = [torch.nonzero(domain == d).flatten() for d in domain.unique().tolist()]
    per_batch = min(len(rows), max(2, batch_size // 8))
    size = max(1, batch_size // per_batch)
    # A domain smaller than its share repeats within the batch rather than shrinking it.
    streams = [uniform(len(r) * -(-size // len(r)), size, seed=seed * 1_000_003 + i) for i, r in enumerate(rows)]
    generator = torch.Generator().manual_seed(seed)
    everyone = torch.arange(len(rows))
    while True:
        chosen = (
            everyone if per_batch == len(rows) else torch.randperm(len(rows), generator=generator)[:per_batch].sort()[0]
        )
        yield torch.cat([rows[d][next(streams[d]) % len(rows[d])] for d in chosen.tolist()])


def _check(n: int, batch_size: int) -> None:
    if n < 1:
        raise InputError("there is no example to draw batches from")
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
