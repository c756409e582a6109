"""How simple one feature is: the linear pieces that a classifier on it needs."""

import torch
from jaxtyping import Float, Int

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor


def linear_pieces(x: Float[Array, "n"], y: Int[Array, "n"]) -> int:
    """Return the fewest regions of a piecewise constant classifier of one feature without an error: its thresholds + 1.

    Sorted by the feature, labels change that many times less one: 2 for a linear block, k for k slabs, 1 where all labels
    are the same. On data with noise it counts the noise too.

    **Arguments:** ``x``: values of the feature; ``y``: labels, any numbers.

    Raises InputError where rows do not match, or a value comes with two labels: no classifier of x is then without an error.

    Source: Shah et al., NeurIPS 2020, section 3 (simplicity of a feature).

    >>> import numpy as np
    >>> linear_pieces(np.array([-2.0, 0.1, 2.0, -0.1]), np.array([1, 0, 1, 0]))
    3
    """
    values, labels = tensor(x, "x", dims=1), tensor(y, "y", dims=1)
    same_rows(x=values, y=labels)
    order = values.argsort(stable=True)
    values, labels = values[order], labels[order]
    changes = labels[1:] != labels[:-1]
    # Equal values lie next to each other, so two labels of one value change somewhere among them.
    torn = changes & (values[1:] == values[:-1])
    if torn.any():
        at = int(torch.argmax(torn.int()))
        raise InputError(
            f"x has the value {float(values[at]):g} with two labels; no classifier of x is without an error there"
        )
    return int(changes.sum()) + 1
