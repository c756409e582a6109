"""How far stimuli are from each other along a graph of neighbours: shortest paths in place of direct dissimilarities."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array
from farfield.measure.dissimilarity._forms import as_rows, square, stimuli
from farfield.measure.dissimilarity.geotopology import average_ranks, check_window, minmax, quantile, window

Rule = Literal["twostep", "p_shortest", "p_nearest", "k_nearest"]
# An edge is at most 1 long, so that this is far above rounding and far below a difference of ranks.
_DIGITS = 10
RULES = ("twostep", "p_shortest", "p_nearest", "k_nearest")


def geodesic_rdm(
    rdm: Array,
    rule: Rule = "twostep",
    *,
    l: float = 0.2,  # noqa: E741 (the paper's symbol)
    u: float = 0.8,
    p: float = 0.05,
    k: int = 1,
    rank: bool = True,
    unreachable: Literal["inf", "largest"] = "inf",
    keep_zero_edges: bool = True,
    symmetric: bool = True,
) -> Array:
    """Return the lengths of the shortest paths between stimuli over a graph of near ones (the paper's RGDM), or their ranks.

    An edge is as long as its two stimuli are dissimilar: by the geo-topological transform for "twostep", by the ranks brought
    to [0, 1] (`rank_minmax`) for the other rules. Which pairs are edges:

    - ``twostep``: those that the transform with window (l, u) does not put at 1. The paper's.
    - ``p_shortest``: those up to the quantile ``p`` of all pairs.
    - ``p_nearest``: every stimulus and its ``int(p n)`` nearest. ``k_nearest``: every stimulus and its ``k`` nearest.

    **Arguments:**
    - ``rdm``: (pairs,), (k, pairs) or a square (n, n), see `rank_minmax`; the result has the same form, in float64.
    - ``l``, ``u`` (for twostep), ``p`` from 0 to 1, ``k`` from 1 to n - 1: see above; each is read by its own rules only.
    - ``rank``: return ranks 1..pairs, equal lengths with their mean rank. Pairs without a path are farthest of all, and tied.
      Lengths count as equal up to ten decimals: sums of the same edges in another order differ in the last one, which in the
      authors' code breaks the tie.
    - ``unreachable``: the length of such pairs where ``rank`` is False: "inf", or "largest", the largest length of all the RDMs
      given, which keeps vectors finite.
    - ``keep_zero_edges``: False drops edges of length 0, and so makes the nearest stimuli the farthest, as the authors' code
      does by accident; only to reproduce it.
    - ``symmetric``: for the nearest, an edge where either of two is among the nearest of the other; False: where the later
      stimulus is among the nearest of the earlier one, as in the authors' code, which depends on the order of stimuli.

    Raises InputError on an argument out of range, dissimilarities that are not all pairs of n stimuli, a value that is not
    finite, and "largest" where no pair is connected.

    Source: Lin & Kriegeskorte, PNAS 2024, methods; `utils_transform.geodesic_transform` of the authors' code, from which the
    defaults of the last two arguments differ.

    >>> import numpy as np
    >>> geodesic_rdm(np.arange(1.0, 7.0), l=0, u=0.6, rank=False).round(3)
    array([0.   , 0.333, 0.667, 0.333, 0.667, 1.   ])
    """
    if rule not in RULES:
        raise unknown_name("rule", str(rule), RULES)
    if unreachable not in ("inf", "largest"):
        raise unknown_name("value of unreachable", str(unreachable), ("inf", "largest"))
    check_window(l, u)
    if not 0 <= p <= 1:
        raise InputError(f"p is {p}; it must be a share from 0 to 1")
    rows, back = as_rows(rdm, "rdm", whole=True)
    r = minmax(average_ranks(rows))
    if rule == "twostep":
        r = window(r, r.sort(dim=1).values, l, u)
        kept = r < 1
    elif rule == "p_shortest":
        kept = r <= quantile(r.sort(dim=1).values, p)
    else:
        kept = _nearest(r, _neighbours(rule, p, k, _stimuli(r)), keep_zero_edges=keep_zero_edges, symmetric=symmetric)
    if not keep_zero_edges:
        kept &= r > 0
    paths = _shortest_paths(r, kept)
    if rank:
        # Sums of the same lengths in another order differ in their last digits, and are no longer.
        return back(average_ranks(paths.round(decimals=_DIGITS)))
    if unreachable == "largest":
        finite = paths[paths.isfinite()]
        if not len(finite):
            raise InputError(
                "no two stimuli are connected, so that there is no largest length; let more pairs be edges"
            )
        paths = paths.clamp(max=float(finite.max()))
    return back(paths)


def _stimuli(r: Tensor) -> int:
    n = stimuli(r.shape[1])
    assert n is not None
    return n


def _neighbours(rule: str, p: float, k: int, n: int) -> int:
    """Return how many nearest stimuli have an edge, refusing what leaves none, or more than there are."""
    if rule == "p_nearest":
        if int(p * n) < 1:
            raise InputError(f"p is {p}: that is no neighbour at all of {n} stimuli; expected at least 1 / {n}")
        return min(int(p * n), n - 1)
    if not 1 <= k <= n - 1:
        raise InputError(f"k is {k}; each of {n} stimuli has from 1 to {n - 1} neighbours")
    return k


def _nearest(r: Tensor, count: int, *, keep_zero_edges: bool, symmetric: bool) -> Tensor:
    """Return which pairs (k, pairs) are edges between a stimulus and its nearest; of equally near ones the first count."""
    lengths = square(r, diagonal=torch.inf)
    if not keep_zero_edges:
        lengths[lengths == 0] = torch.inf
    nearest = lengths.sort(dim=2, stable=True).indices[..., :count]
    chosen = torch.zeros_like(lengths, dtype=torch.bool).scatter_(2, nearest, True)
    i, j = torch.triu_indices(lengths.shape[1], lengths.shape[1], 1, device=r.device)
    return (chosen[:, i, j] | chosen[:, j, i]) if symmetric else chosen[:, i, j]


def _shortest_paths(r: Tensor, kept: Tensor) -> Tensor:
    """Return the shortest paths (k, pairs) over the edges that are kept, inf where there is none; found by scipy."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    n = _stimuli(r)
    i, j = np.triu_indices(n, 1)
    paths = np.empty(tuple(r.shape))
    for row, (lengths, edges) in enumerate(zip(r.cpu().numpy(), kept.cpu().numpy())):
        # Made from coordinates, the sparse matrix holds edges of length 0 as edges; a dense one would lose them.
        a, b, along = i[edges], j[edges], lengths[edges]
        graph = csr_array((np.concatenate([along, along]), (np.concatenate([a, b]), np.concatenate([b, a]))), (n, n))
        paths[row] = shortest_path(graph, directed=True)[i, j]
    return torch.from_numpy(paths).to(r.device)
