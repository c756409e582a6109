"""How high all items of the right identity stand in the ranked gallery."""

import torch
from jaxtyping import Float, Int

from farfield.measure._arrays import Array
from farfield.measure.retrieval._ranking import precisions, ranked_matches


def retrieval_map(
    dist: Float[Array, "queries items"],
    qy: Int[Array, " queries"],
    gy: Int[Array, " items"],
    exclude_self: bool = False,
) -> float:
    """Return the mean over queries of the average precision of the whole ranked gallery, from 0 to 1.

    The average precision of a query is the mean, over the items with its label, of the share of such items down to
    their rank. It is 0 where there is none. For the first k items only, see `farfield.measure.map_at_k`.

    **Arguments** and errors as `farfield.measure.cmc`.

    Source: Zhou et al., ICCV 2023, section 4.1.

    >>> import numpy as np
    >>> retrieval_map(np.array([[0.1, 0.2, 0.3]]), np.array([7]), np.array([3, 7, 7]))  # (1/2 + 2/3) / 2
    0.5833333333333333
    """
    return float(torch.cat([precisions(block) for block in ranked_matches(dist, qy, gy, exclude_self)]).mean())
