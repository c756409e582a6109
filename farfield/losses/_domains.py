"""What losses that compare domains share: means per domain, and distances over pairs of domains."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from farfield.errors import InputError


@dataclass(frozen=True)
class Domains:
    """The m domains present in a batch of n examples.

    **Fields:** ``index`` (n,): which of the m domains each example belongs to; ``counts`` (m,): their examples.

    >>> Domains.of(torch.tensor([7, 2, 7])).means(torch.tensor([1.0, 5.0, 3.0]))
    tensor([5., 2.])
    """

    index: Tensor
    counts: Tensor

    @classmethod
    def of(cls, domain: Tensor) -> "Domains":
        """Read the domains off a column ``(n,)`` of integers, in any order, of any sizes."""
        _, index, counts = domain.unique(return_inverse=True, return_counts=True)
        return cls(index, counts)

    def means(self, values: Tensor) -> Tensor:
        """Return the mean ``(m, ...)`` of the values ``(n, ...)`` over each domain."""
        with full_precision(values):
            return self._averaging(values.dtype) @ values

    def block_means(self, values: Tensor) -> Tensor:
        """Return the mean ``(m, m)`` of the values ``(n, n)`` over each pair of domains."""
        with full_precision(values):
            averaging = self._averaging(values.dtype)
            return averaging @ values @ averaging.T

    def _averaging(self, dtype: torch.dtype) -> Tensor:
        # A product of matrices and not a scatter: on a GPU the order in which a scatter adds is not fixed.
        domains = torch.arange(len(self.counts), device=self.index.device)
        return (self.index == domains[:, None]).to(dtype) / self.counts[:, None]  # (m, n)


def mean_pair_distance(inner: Tensor) -> Tensor:
    """Return the mean of ``|a - b|^2`` over the pairs of m points, from their inner products ``(m, m)``; 0 for one point.

    >>> mean_pair_distance(torch.tensor([[0.0, 0.0], [0.0, 9.0]]))
    tensor(9.)
    """
    squares = inner.diagonal()
    distances = squares[:, None] + squares[None, :] - 2 * inner
    return distances.sum() / max(len(inner) * (len(inner) - 1), 1)


def full_precision(like: Tensor) -> AbstractContextManager:
    """Turn autocast off: differences of nearly equal second moments vanish in half precision.

    >>> with torch.autocast("cpu", dtype=torch.bfloat16), full_precision(torch.ones(2)):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.float32
    """
    return torch.autocast(like.device.type, enabled=False)


def check_rows(domain: Tensor, **others: Tensor) -> None:
    """Refuse a domain column that is not ``(n,)`` integers, or whose length differs from that of the others.

    >>> check_rows(torch.zeros(2, dtype=torch.long), losses=torch.zeros(3))
    Traceback (most recent call last):
    farfield.errors.InputError: losses has 3 rows but domain has 2; they must be the same examples
    """
    if domain.dim() != 1 or domain.is_floating_point() or len(domain) == 0:
        raise InputError(
            f"domain has shape {tuple(domain.shape)} and dtype {domain.dtype}; expected (n,) integers, n at least 1"
        )
    for name, values in others.items():
        if len(values) != len(domain):
            raise InputError(
                f"{name} has {len(values)} rows but domain has {len(domain)}; they must be the same examples"
            )
