"""NC3: how the rows of the classifier lie to the class means."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor
from farfield.measure.collapse._classes import centred, directions
from farfield.measure.collapse.geometry import structure_error
from farfield.measure.collapse.spread import Spread


@dataclass(frozen=True)
class SelfDuality:
    """How classifier and class means agree.

    **Fields:**
    - ``error``: from 0 (their products form a simplex) to 2, as `etf_error`.
    - ``cos``: cosines of each weight row with its centred class mean, 1 where they are dual; ``cos.cv`` is 0 where all are
      equally aligned (UNC3). ``dot``: plain inner products.
    - ``dist``: mean distance of both, scaled to length 1: 0 to 2.

    >>> SelfDuality(error=0.0, cos=Spread(1.0, 0.0, 0.0), dot=Spread(3.0, 0.0, 0.0), dist=0.0).cos.mean
    1.0
    """

    error: float
    cos: Spread
    dot: Spread
    dist: float


def self_duality(
    weight: Float[Array, "K d"], means: Float[Array, "K d"], global_mean: Float[Array, "d"] | None = None
) -> SelfDuality:
    """Return how well each row of the classifier points to its class mean (NC3), and how equally (UNC3).

    A row or a centred mean of length 0 has no direction: its cosine counts as 0.

    **Arguments:** ``weight``: the rows of the same K classes in the same order, ``head.weight[index]``; ``global_mean`` None: means
    are centred already.

    Raises InputError on fewer than 2 classes, shapes that do not match, or where all weights or all centred means are 0.

    Source: Papyan et al., PNAS 2020 (NC3); Wu & Papyan, NeurIPS 2024

    >>> means = torch.eye(4) - 1 / 4
    >>> found = self_duality(2 * means, means)
    >>> round(found.error, 6), round(found.cos.mean, 6), round(found.dist, 6)
    (0.0, 1.0, 0.0)
    """
    m = centred(means, global_mean)
    w = matching(weight, m)
    for name, values in {"weight": w, "the centred means": m}.items():
        if not values.any():
            raise InputError(f"all values of {name} are 0, so there is no direction to compare")
    w_direction, m_direction = directions(w), directions(m)
    return SelfDuality(
        structure_error(w, m),
        Spread.of(torch.linalg.vecdot(w_direction, m_direction)),
        Spread.of(torch.linalg.vecdot(w, m)),
        float(torch.linalg.vector_norm(w_direction - m_direction, dim=1).mean()),
    )


def matching(weight: Array, means: Tensor) -> Tensor:
    """Return the weight as a tensor beside the means. Raises InputError where its shape is not theirs."""
    w = tensor(weight, "weight").to(means.device)
    same_rows(weight=w, means=means)
    if w.shape != means.shape:
        raise InputError(f"weight has {w.shape[1]} dimensions but means has {means.shape[1]}")
    return w


def ood_alignment(
    means: Float[Array, "K d"], ood_mean: Float[Array, "d"], global_mean: Float[Array, "d"] | None = None
) -> float:
    """Return the mean |cosine| of the class means and the mean of out-of-distribution features (NC5), from 0 to 1.

    0 where what the model has not been trained on lies at right angles to every class. A mean of length 0 counts as 0.

    **Arguments:** ``ood_mean``: mean feature of other data; ``global_mean``: is taken off the class means, not off ``ood_mean``.

    Raises InputError on shapes that do not match.

    Source: Ammar et al., "NECO: neural collapse based out-of-distribution detection", ICLR 2024.

    >>> ood_alignment(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, 2.0]))
    0.5
    """
    m = centred(means, global_mean, rows=1)
    other = tensor(ood_mean, "ood_mean", dims=1).to(m.device)
    if len(other) != m.shape[1]:
        raise InputError(f"ood_mean has {len(other)} dimensions but means has {m.shape[1]}")
    return float((directions(m) @ directions(other[None])[0]).abs().mean())
