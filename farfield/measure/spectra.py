"""How the variance of a representation is spread over its principal directions."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor


@dataclass(frozen=True)
class Spectrum:
    """The variances along the principal directions, largest first, float64 (min(n, d),), and what they say together.

    >>> flat = Spectrum(torch.tensor([2.0, 2.0, 0.0], dtype=torch.float64))
    >>> flat.participation_ratio, round(flat.effective_rank, 6), flat.dimensions_for(0.9)
    (2.0, 2.0, 2)
    """

    variances: Tensor

    @property
    def shares(self) -> Tensor:
        """Each direction's share of the variance, largest first; the shares sum to 1."""
        return self.variances / self.variances.sum()

    @property
    def participation_ratio(self) -> float:
        """``(sum v)^2 / sum v^2``, from 1 (one direction) to d (all alike): Gao et al., bioRxiv 214262, 2017."""
        return float(1 / self.shares.square().sum())

    @property
    def effective_rank(self) -> float:
        """``exp(-sum p log p)`` over the shares p of the variance, from 1 to d.

        Roy & Vetterli, EUSIPCO 2007, take the shares of the singular values; those of the variances are used here, as is common
        for representations, which gives less weight to small directions.
        """
        p = self.shares[self.shares > 0]
        return float((-(p * p.log()).sum()).exp())

    def dimensions_for(self, share: float) -> int:
        """Return how many leading directions hold at least this share of the variance, 0 < share <= 1."""
        if not 0 < share <= 1:
            raise InputError(f"share is {share}; it must be above 0 and at most 1")
        # Rounding in the sum must not ask for one more direction than there is.
        held = self.shares.cumsum(0) >= share * (1 - 1e-12)
        return int(held.int().argmax()) + 1


def spectrum(x: Float[Array, "n d"], *, chunk: int = 65_536) -> Spectrum:
    """Return the spectrum of the covariance matrix (with divisor n - 1) of a representation.

    Computed in float64. Where n is at least d the rows are read twice, ``chunk`` at a time, so that a memory-mapped file need
    not fit in memory, only the d x d covariance matrix; else by the n x n inner products.

    **Arguments:** ``x``: array or tensor, one row per example, at least 2.

    Raises InputError where a value is not finite, or all rows are the same.

    >>> import numpy as np
    >>> found = spectrum(np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 1.0], [1.0, -1.0]]))
    >>> [round(v, 4) for v in found.variances.tolist()]
    [0.6667, 0.6667]
    """
    if chunk < 1:
        raise InputError(f"chunk is {chunk}; it must be at least 1")
    if getattr(x, "ndim", 2) != 2 or len(x) < max(2, x.shape[1]):
        return _of_few(tensor(x, "x", rows=2))
    n, d = x.shape
    starts = range(0, n, chunk)
    total = sum((_read(x, i, chunk).sum(0) for i in starts), torch.zeros(()).double())
    mean = total / n
    covariance = torch.zeros(d, d, dtype=torch.float64, device=mean.device)
    for i in starts:
        centred = _read(x, i, chunk) - mean
        covariance.addmm_(centred.T, centred)
    return _checked(torch.linalg.eigvalsh(covariance / (n - 1)))


def _read(x: Array, start: int, chunk: int) -> Tensor:
    try:
        return tensor(x[start : start + chunk], "x")
    except InputError:
        # Only a whole array has the right row number for the sentence.
        tensor(x, "x")
        raise


def _of_few(x: Tensor) -> Spectrum:
    centred = x - x.mean(0)
    n, d = centred.shape
    gram = centred @ centred.T if n < d else centred.T @ centred
    return _checked(torch.linalg.eigvalsh(gram / (n - 1)))


def _checked(ascending: Tensor) -> Spectrum:
    variances = ascending.flip(0).clamp(min=0)
    if not float(variances.sum()) > 0:
        raise InputError("all rows of x are the same, so there is no variance to spread")
    # What is below the rounding error of the largest is zero.
    floor = len(variances) * torch.finfo(torch.float64).eps * variances[0]
    return Spectrum(torch.where(variances > floor, variances, torch.zeros_like(variances)))
