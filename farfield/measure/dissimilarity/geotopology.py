"""Dissimilarities with the noise of small and the arbitrariness of large ones cut off, by how many pairs lie below."""

import math
from typing import Literal

import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array
from farfield.measure.dissimilarity._forms import as_rows

Kind = Literal["linear", "sigmoid"]
KINDS = ("linear", "sigmoid")


def rank_minmax(rdm: Array) -> Array:
    """Return the ranks of dissimilarities, brought to 0 for the smallest and 1 for the largest: the rank RDM.

    Equal dissimilarities share their mean rank. Where all are equal there is no order, and all become 0. Each RDM is ranked
    by itself.

    **Arguments:** ``rdm``: (pairs,) condensed, (k, pairs) for k RDMs, or a square (n, n), symmetric with a zero diagonal; the
    result has the same form, in float64. A square's diagonal stays 0.

    Raises InputError on another shape or a value that is not finite.

    Source: Lin & Kriegeskorte, PNAS 2024, methods.

    >>> import numpy as np
    >>> rank_minmax(np.array([5.0, 0.1, 7.0, 7.0]))
    array([0.4, 0. , 1. , 1. ])
    """
    rows, back = as_rows(rdm, "rdm")
    return back(minmax(average_ranks(rows)))


def geotopological(
    rdm: Array,
    l: float = 0.2,  # noqa: E741 (the paper's symbol)
    u: float = 0.8,
    *,
    rank: bool = True,
    kind: Kind = "linear",
    alpha: float = 10.0,
    beta: float = 0.5,
) -> Array:
    """Return the geo-topological transform of dissimilarities (the paper's RGTM), from 0 to 1.

    With r the dissimilarities' ranks (see `rank_minmax`), a and b the quantiles of r at l and u (linearly interpolated), it is
    0 where ``r < a``, ``(r - a) / (b - a)`` between, 1 where ``r > b``. So l and u are shares of the pairs: the nearest l of them
    count as the same, the farthest 1 - u as simply far. (0, 1) is the rank RDM, pure geometry; l near u is a graph of
    neighbours, pure topology. Where a window is so narrow that ``b <= a`` it is 1 where ``r > a`` and 0 elsewhere, which is also
    what becomes of dissimilarities that are all equal (0).

    **Arguments:**
    - ``rdm``: (pairs,), (k, pairs) or a square (n, n), see `rank_minmax`; the result has the same form, in float64.
    - ``l``, ``u``: the window, ``0 <= l <= u <= 1``.
    - ``rank``: False takes the dissimilarities in place of their ranks, so that l and u are quantiles of values (rsatoolbox
      does so, with quantiles of all RDMs together; here each has its own).
    - ``kind``: "sigmoid" takes the smooth ``1 / (1 + exp(-alpha (r - beta)))`` in place of the window, ``alpha`` above 0; with
      rank False r is then brought to [0, 1] by its smallest and largest.

    Raises InputError on an argument out of range, another shape or a value that is not finite.

    Source: Lin & Kriegeskorte, PNAS 2024, methods; `utils_transform.gt_transform` of the authors' code.

    >>> import numpy as np
    >>> geotopological(np.arange(6) ** 2).round(3)
    array([0.   , 0.   , 0.333, 0.667, 1.   , 1.   ])
    """
    check_window(l, u)
    if kind not in KINDS:
        raise unknown_name("kind", str(kind), KINDS)
    for name, value in {"alpha": alpha, "beta": beta}.items():
        if not math.isfinite(value) or (name == "alpha" and value <= 0):
            raise InputError(f"{name} is {value}; it must be finite{' and above 0' if name == 'alpha' else ''}")
    rows, back = as_rows(rdm, "rdm")
    r = minmax(average_ranks(rows) if rank else rows)
    if kind == "sigmoid":
        return back(torch.sigmoid(alpha * (r - beta)))
    return back(window(r, r.sort(dim=1).values, l, u))


def check_window(l: float, u: float) -> None:  # noqa: E741
    """Refuse what is no window ``0 <= l <= u <= 1``."""
    if not 0 <= l <= u <= 1:
        raise InputError(f"l is {l} and u is {u}; expected 0 <= l <= u <= 1")


def window(r: Tensor, ordered: Tensor, l: float, u: float) -> Tensor:  # noqa: E741
    """Return the linear transform of r (k, pairs), given r with each row sorted.

    >>> r = torch.tensor([[0.0, 0.25, 0.5, 0.75, 1.0]])
    >>> window(r, r, 0.25, 0.75), window(r, r, 0.5, 0.5)
    (tensor([[0.0000, 0.0000, 0.5000, 1.0000, 1.0000]]), tensor([[0., 0., 0., 1., 1.]]))
    """
    a, b = quantile(ordered, l), quantile(ordered, u)
    inside = (r - a) / torch.where(b > a, b - a, torch.ones_like(a))
    narrow = (r > a).to(r.dtype)
    return torch.where(b > a, inside.clamp_(0, 1), narrow)


def quantile(ordered: Tensor, q: float) -> Tensor:
    """Return the linearly interpolated quantile of sorted rows (k, 1), rounded as numpy's.

    torch.quantile refuses rows of more than 16 million values.

    >>> quantile(torch.tensor([[0.0, 1.0, 5.0]]), 0.75)
    tensor([[3.]])
    """
    at = (ordered.shape[1] - 1) * q
    low = math.floor(at)
    share = at - low
    below, above = ordered[:, low, None], ordered[:, min(low + 1, ordered.shape[1] - 1), None]
    step = above - below
    return above - step * (1 - share) if share >= 0.5 else below + step * share


def minmax(rows: Tensor) -> Tensor:
    """Return rows brought to [0, 1] by their smallest and largest value; 0 where all are equal.

    >>> minmax(torch.tensor([[2.0, 3.0, 4.0], [7.0, 7.0, 7.0]]))
    tensor([[0.0000, 0.5000, 1.0000],
            [0.0000, 0.0000, 0.0000]])
    """
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    return (rows - low) / torch.where(high > low, high - low, torch.ones_like(low))


def average_ranks(rows: Tensor) -> Tensor:
    """Return the ranks 1..m of each row in float64, equal values with their mean rank, as scipy's rankdata.

    >>> average_ranks(torch.tensor([[0.5, 0.1, 0.5, torch.inf]]))
    tensor([[2.5000, 1.0000, 2.5000, 4.0000]], dtype=torch.float64)
    """
    m = rows.shape[1]
    ordered, order = rows.sort(dim=1)
    at = torch.arange(m, device=rows.device).expand_as(rows)
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = differs.new_ones(len(rows), 1)
    # The first and the last place of the values that are equal to the one here.
    first = torch.where(torch.cat([edge, differs], 1), at, 0).cummax(1).values
    last = torch.where(torch.cat([differs, edge], 1), at, m - 1).flip(1).cummin(1).values.flip(1)
    ranks = (first + last).double().div_(2).add_(1)
    return torch.empty_like(ranks).scatter_(1, order, ranks)
