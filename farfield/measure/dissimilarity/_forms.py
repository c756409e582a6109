"""The forms in which dissimilarities come: condensed as scipy's pdist gives them, several rows of that, or one square."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor

FORMS = "(pairs,), (k, pairs) or a symmetric (n, n) with a zero diagonal"


def as_rows(rdm: Array, name: str, *, whole: bool = False) -> tuple[Tensor, Callable[[Tensor], Array]]:
    """Return dissimilarities as float64 (k, pairs), and the function that brings a result back to the form they came in.

    **Arguments:** ``whole``: every pair of n stimuli must be there, so that their number is ``n (n - 1) / 2``.

    Two dimensions of one size are a square where they are symmetric with a zero diagonal, else rows.

    Raises InputError on another shape, or a value that is not finite.

    >>> rows, back = as_rows(np.array([[0.0, 3.0], [3.0, 0.0]]), "rdm")
    >>> rows.tolist(), back(2 * rows).tolist()
    ([[3.0]], [[0.0, 6.0], [6.0, 0.0]])
    """
    dims = getattr(rdm, "ndim", None) or np.ndim(rdm)
    if dims not in (1, 2):
        raise InputError(f"{name} has shape {tuple(np.shape(rdm))}; expected {FORMS}")
    values = tensor(rdm, name, dims=dims)
    if values.ndim == 1:
        return _checked(values[None], name, whole), lambda result: like(result[0], rdm)
    n = len(values)
    if n >= 2 and n == values.shape[1] and not values.diagonal().any() and torch.equal(values, values.T):
        upper = torch.triu_indices(n, n, 1, device=values.device)
        return values[upper[0], upper[1]][None], lambda result: like(square(result[0]), rdm)
    return _checked(values, name, whole), lambda result: like(result, rdm)


def stimuli(pairs: int) -> int | None:
    """Return n for ``pairs = n (n - 1) / 2``, None where there is no such n.

    >>> stimuli(6), stimuli(7)
    (4, None)
    """
    n = (1 + round((1 + 8 * pairs) ** 0.5)) // 2
    return n if n * (n - 1) // 2 == pairs and n >= 2 else None


def square(rows: Tensor, diagonal: float = 0.0) -> Tensor:
    """Return condensed dissimilarities (..., pairs) as squares (..., n, n).

    >>> square(torch.tensor([1.0, 2.0, 3.0])).tolist()
    [[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]
    """
    n = stimuli(rows.shape[-1])
    assert n is not None
    i, j = torch.triu_indices(n, n, 1, device=rows.device)
    full = rows.new_full((*rows.shape[:-1], n, n), diagonal)
    full[..., i, j] = rows
    full[..., j, i] = rows
    return full


def _checked(rows: Tensor, name: str, whole: bool) -> Tensor:
    if whole and stimuli(rows.shape[1]) is None:
        raise InputError(
            f"{name} has {rows.shape[1]} dissimilarities in a row; all pairs of n stimuli are n (n - 1) / 2: 1, 3, 6, 10, ..."
        )
    return rows
