"""One pass over all rows of a representation, in pieces: values that are not finite, constant columns, copies, directions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError

VALUES = 4_000_000  # read at a time


@dataclass(frozen=True)
class Scan:
    """What one pass found.

    **Fields:** counts of columns and rows; ``mean_cosine`` between two different rows, None where fewer than two have a
    direction; ``fingerprint``: a hash of all values in their order, the same for the same rows in another file.
    """

    constant_columns: int
    duplicate_rows: int
    zero_rows: int
    mean_cosine: float | None
    fingerprint: str


def scan(rows: Tensor, name: str) -> Scan:
    """Look at every row once. Memory is bounded, but for 8 bytes per row.

    Raises InputError on a value that is not finite (the first row that has one), or where all rows are the same.

    >>> found = scan(torch.tensor([[1.0, 5.0], [3.0, 5.0], [1.0, 5.0]]), "x")
    >>> found.constant_columns, found.duplicate_rows, found.zero_rows, round(found.mean_cosine, 2)
    (1, 1, 0, 0.96)
    """
    low, high, total, zeros = None, None, 0.0, 0
    hashes = np.empty(len(rows), dtype=np.uint64)
    for start, piece in pieces(rows):
        finite = torch.isfinite(piece).all(1)
        if not finite.all():
            raise InputError(
                f"{name} holds a value that is not finite, first in row {start + int(finite.int().argmin())}"
            )
        smallest, largest = piece.amin(0), piece.amax(0)
        low = smallest if low is None else torch.minimum(low, smallest)
        high = largest if high is None else torch.maximum(high, largest)
        # By the largest value, so that no square over- or underflows.
        scale = piece.abs().amax(1, keepdim=True).double()
        units = torch.nn.functional.normalize(piece.double() / torch.where(scale > 0, scale, 1), dim=1)
        zeros += int((scale == 0).sum())
        total = total + units.sum(0)
        hashes[start : start + len(piece)] = _hash(piece)
    assert low is not None and high is not None
    constant = int((low == high).sum())
    if constant == rows.shape[1]:
        raise InputError(f"all rows of {name} are the same, so there is nothing to inspect")
    n = len(rows) - zeros
    cosine = (float(total.square().sum()) - n) / (n * (n - 1)) if n > 1 else None
    return Scan(constant, len(rows) - len(np.unique(hashes)), zeros, cosine, _digest(hashes))


def pieces(rows: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield pieces of rows, each with the number of its first row; half precision and whole numbers become float32 and float64.

    >>> [(start, len(piece)) for start, piece in pieces(torch.zeros(3, 1))]
    [(0, 3)]
    """
    size = max(1, VALUES // rows.shape[1])
    for start in range(0, len(rows), size):
        yield start, widened(rows[start : start + size])


def widened(rows: Tensor) -> Tensor:
    """Return rows in float32 or float64, which hold every value of what came.

    >>> widened(torch.tensor([1], dtype=torch.int64)).dtype, widened(torch.ones(1, dtype=torch.bfloat16)).dtype
    (torch.float64, torch.float32)
    """
    if rows.is_floating_point():
        return rows if rows.dtype in (torch.float32, torch.float64) else rows.float()
    return rows.double()


def _hash(piece: Tensor) -> np.ndarray:
    """Return a 64-bit number for each row, equal for equal rows; different rows share one once in 2^64 or so."""
    # -0.0 becomes 0.0, which it equals.
    words = np.ascontiguousarray((piece + 0.0).numpy()).view(np.uint32).reshape(len(piece), -1)
    factors = np.random.default_rng(0xFA2).integers(0, 2**64, words.shape[1], dtype=np.uint64)
    found = np.zeros(len(piece), dtype=np.uint64)
    for start in range(0, words.shape[1], 256):
        found += (words[:, start : start + 256].astype(np.uint64) * factors[start : start + 256]).sum(
            1, dtype=np.uint64
        )
    return found


def _digest(hashes: np.ndarray) -> str:
    return hashlib.blake2b(hashes.astype("<u8").tobytes(), digest_size=16).hexdigest()
