"""How often the right identity is among the first few items found."""

import torch
from jaxtyping import Float, Int

from farfield.errors import InputError
from farfield.measure._arrays import Array
from farfield.measure.retrieval._ranking import first_matches, ranked_matches


def cmc(
    dist: Float[Array, "queries items"],
    qy: Int[Array, " queries"],
    gy: Int[Array, " items"],
    topk: int = 5,
    exclude_self: bool = False,
) -> tuple[float, ...]:
    """Return the cumulative match characteristic: for k = 1 to topk the share of queries with their label among the k nearest.

    **Arguments:**
    - ``dist``: distances, any finite numbers; of equally near items the first counts as nearer.
    - ``qy``, ``gy``: labels of the queries and of the gallery's items.
    - ``topk``: from 1 to the number of items that can be found.
    - ``exclude_self``: queries and gallery are the same items in the same order, and none may find itself.

    A query whose label no item has counts as a miss. Raises InputError where shapes do not fit or topk is out of range.

    Source: Zhou et al., ICCV 2023, section 4.1 (top-1 and top-5 of the released code, by the first match).

    >>> import numpy as np
    >>> cmc(np.array([[0.1, 0.2], [0.3, 0.9]]), np.array([7, 3]), np.array([7, 3]), topk=2)
    (0.5, 1.0)
    """
    most = dist.shape[1] - exclude_self if dist.ndim == 2 else 0
    if dist.ndim == 2 and not 1 <= topk <= most:
        raise InputError(f"topk is {topk}; {most} items can be found, so it must be from 1 to {most}")
    hits = torch.cat([first_matches(block, topk) for block in ranked_matches(dist, qy, gy, exclude_self)])
    return tuple(hits.double().mean(0).tolist())
