"""How far apart two representations are once one has been turned onto the other."""

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor


def procrustes_distance(x: Float[Array, "n d1"], y: Float[Array, "n d2"]) -> float:
    """Return the orthogonal Procrustes distance of two representations, from 0 to the square root of 2.

    ``min |X - Y R|_F`` over rotations and reflections R, after both were centred and scaled to norm 1; where the widths differ,
    the smaller one gets columns of zeros. 0 where one is a rotation, a scaling or a shift of the other, the square root of
    2 where no column of one correlates with any of the other. It is a metric.

    **Arguments:** ``x``, ``y``: arrays or tensors, one row per example, the same examples in the same order; at least 2.

    Raises InputError where the rows do not match, a value is not finite, or all rows of one are the same.

    Source: Ding et al., "Grounding representation similarity with statistical testing", NeurIPS 2021, equation 3 (its square).

    >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    >>> round(procrustes_distance(x, 3 * x.flip(1) + 5), 4), round(procrustes_distance(x, x[:, :1]), 4)
    (0.0, 0.6472)
    """
    first, second = tensor(x, "x", rows=2), tensor(y, "y", rows=2)
    same_rows(x=first, y=second)
    left, right = _normalised(first, "x"), _normalised(second, "y")
    # |X - Y R|^2 = |X|^2 + |Y|^2 - 2 tr(R^T Y^T X), whose largest trace is the sum of the singular values of Y^T X.
    shared = torch.linalg.svdvals(left.T @ right).sum()
    return float((2 - 2 * shared).clamp(min=0).sqrt())


def _normalised(values: Float[Tensor, "n d"], name: str) -> Tensor:
    if (values == values[0]).all():
        raise InputError(f"all rows of {name} are the same, so there is nothing to compare")
    centred = values - values.mean(0)
    # At 1 no square can over- or underflow.
    centred = centred / centred.abs().max()
    centred = centred / centred.norm()
    if centred.shape[1] <= len(centred):
        return centred
    # A rotation changes nothing, and in its own principal axes a wide matrix is only n columns wide.
    vectors, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    return vectors * sizes
