"""How alike two dissimilarity matrices are."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array, like
from farfield.measure.dissimilarity._forms import as_rows
from farfield.measure.dissimilarity.geotopology import average_ranks

Method = Literal["spearman", "kendall", "pearson", "cosine"]
METHODS = ("spearman", "kendall", "pearson", "cosine")


def compare_rdms(a: Array, b: Array, method: Method = "spearman") -> float | Array:
    """Return how alike the dissimilarities of the same stimuli are, from -1 to 1; 1 where they agree.

    - ``spearman``: Pearson's correlation of the ranks, equal values with their mean rank. The usual choice.
    - ``kendall``: tau-b, the difference between the shares of concordant and discordant pairs of pairs, corrected for ties.
    - ``pearson``: Pearson's correlation, where the dissimilarities are on one linear scale.
    - ``cosine``: the cosine of the two vectors, where zero dissimilarity means something (crossnobis distances).

    **Arguments:** ``a``, ``b``: (pairs,) or a square (n, n) for one RDM, (k, pairs) for several, see `rank_minmax`.

    **Returns:** a number where both are one RDM; else an array (k of a, k of b), one of them 1 where that was one RDM.

    Raises InputError on another shape, numbers of pairs that differ, fewer than 2 pairs, a value that is not finite, an unknown
    method, or an RDM whose values are all equal (all 0 for the cosine), which goes together with nothing.

    Source: Kriegeskorte, Mur & Bandettini, 2008; Nili et al., "A toolbox for representational similarity analysis", 2014.

    >>> import numpy as np
    >>> round(compare_rdms(np.array([1.0, 2.0, 4.0]), np.array([9.0, 3.0, 1.0])), 6)
    -1.0
    """
    if method not in METHODS:
        raise unknown_name("method of comparison", str(method), METHODS)
    (x, one_x), (y, one_y) = _rows(a, "a", method), _rows(b, "b", method)
    if x.shape[1] != y.shape[1]:
        raise InputError(f"a has {x.shape[1]} pairs but b has {y.shape[1]}; they must be of the same stimuli")
    found = _kendall(x, y) if method == "kendall" else _cosine(x, y, method)
    return float(found[0, 0]) if one_x and one_y else like(found, a)


def _rows(rdm: Array, name: str, method: str) -> tuple[Tensor, bool]:
    """Return one row for each RDM, and whether there was one only, condensed or as a square."""
    rows, _ = as_rows(rdm, name)
    if rows.shape[1] < 2:
        raise InputError(f"{name} has 1 pair of stimuli; a comparison needs at least 2")
    same = (rows == 0).all(1) if method == "cosine" else rows.amax(1) == rows.amin(1)
    if same.any():
        which = f"row {int(same.int().argmax())} of {name} are" if len(rows) > 1 else f"{name} are"
        raise InputError(
            f"all values of {which} {'0' if method == 'cosine' else 'equal'}, which can be compared with nothing"
        )
    return rows, tuple(np.shape(rdm)) != tuple(rows.shape)


def _cosine(x: Tensor, y: Tensor, method: str) -> Tensor:
    def directions(rows: Tensor) -> Tensor:
        rows = average_ranks(rows) if method == "spearman" else rows / rows.abs().amax(1, keepdim=True)
        if method != "cosine":
            rows = rows - rows.mean(1, keepdim=True)
        return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)

    return (directions(x) @ directions(y).T).clamp_(-1, 1)


def _kendall(x: Tensor, y: Tensor) -> Tensor:
    from scipy.stats import kendalltau

    pairs = [[kendalltau(p, q).statistic for q in y.cpu().numpy()] for p in x.cpu().numpy()]
    return torch.tensor(pairs, dtype=torch.float64, device=x.device)
