"""Quality of ranked lists whose relevant items are those with the query's label."""

import torch
from jaxtyping import Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor


def map_at_k(ranked_labels: Int[Array, "queries length"], query_labels: Int[Array, " queries"], k: int) -> float:
    """Return the mean average precision at k: ``AP = 1/k sum_{r <= k} precision@r relevant(r)``, from 0 to 1.

    It divides by k, not by the number of relevant items found or there: a list whose first k items are all relevant has
    1, and a class with fewer than k items in the database cannot reach it.

    **Arguments:** ``ranked_labels``: labels of what was found, the nearest first; ``k``: from 1 to the length of the
    lists.

    Raises InputError where k is out of range or the numbers of queries differ.

    Source: Kusupati et al., NeurIPS 2022, appendix on retrieval (the metric of the released code).

    >>> import numpy as np
    >>> map_at_k(np.array([[7, 3, 7, 7]]), np.array([7]), 2)  # (1/1 + 0) / 2
    0.5
    """
    relevant = _relevant(ranked_labels, query_labels, k)
    ranks = torch.arange(1, k + 1, device=relevant.device)
    return float((relevant.cumsum(1) / ranks * relevant).mean(1).mean())


def precision_at_k(ranked_labels: Int[Array, "queries length"], query_labels: Int[Array, " queries"], k: int) -> float:
    """Return the share of the first k items that have the query's label, mean over queries.

    **Arguments** and errors as `map_at_k`.

    Source: Kusupati et al., NeurIPS 2022, appendix on retrieval.

    >>> import numpy as np
    >>> precision_at_k(np.array([[7, 3, 7, 7]]), np.array([7]), 4)
    0.75
    """
    return float(_relevant(ranked_labels, query_labels, k).mean())


def hit_rate_at_k(ranked_labels: Int[Array, "queries length"], query_labels: Int[Array, " queries"], k: int) -> float:
    """Return the share of queries with at least one item of their label among the first k; at k = 1 the 1-NN accuracy.

    **Arguments** and errors as `map_at_k`.

    Source: Kusupati et al., NeurIPS 2022, appendix on retrieval (top-k accuracy).

    >>> import numpy as np
    >>> hit_rate_at_k(np.array([[3, 7], [3, 3]]), np.array([7, 7]), 2)
    0.5
    """
    return float(_relevant(ranked_labels, query_labels, k).amax(1).mean())


def _relevant(ranked_labels: Array, query_labels: Array, k: int) -> Tensor:
    """Return whether each of the first k items has the query's label, as 0 and 1 (queries, k)."""
    ranked = tensor(ranked_labels, "ranked_labels", dtype=torch.int64)
    wanted = tensor(query_labels, "query_labels", dims=1, dtype=torch.int64)
    same_rows(ranked_labels=ranked, query_labels=wanted)
    if not 1 <= k <= ranked.shape[1]:
        raise InputError(f"k is {k}; the lists have {ranked.shape[1]} items, so it must be from 1 to {ranked.shape[1]}")
    return (ranked[:, :k] == wanted.to(ranked.device)[:, None]).double()
