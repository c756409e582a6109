"""How alike two representations of the same examples are."""

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor


def linear_cka(x: Float[Array, "n d1"], y: Float[Array, "n d2"]) -> float:
    """Return the linear centred kernel alignment of two representations, from 0 to 1.

    ``|Yc^T Xc|_F^2 / (|Xc^T Xc|_F |Yc^T Yc|_F)`` with centred columns (Kornblith et al., ICML 2019, equation 7). 1 where one
    is a rotation, a scaling or a shift of the other, 0 where no column of one correlates with any of the other. With few
    examples for the number of columns it is high by chance: compare at the same n. Computed in float64, by the
    ``n x n`` inner products where that is smaller than ``d x d``.

    **Arguments:** ``x``, ``y``: arrays or tensors, one row per example, the same examples in the same order; at least 2.

    Raises InputError where the rows do not match, a value is not finite, or all rows of one are the same.

    >>> import numpy as np
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    >>> round(linear_cka(x, 3 * x[:, ::-1] + 5), 6), round(linear_cka(x, x[:, :1]), 4)
    (1.0, 0.7906)
    """
    x, y = _centred(x, "x"), _centred(y, "y")
    same_rows(x=x, y=y)
    if len(x) <= max(x.shape[1], y.shape[1]):
        # |Y^T X|_F^2 is the inner product of X X^T and Y Y^T, and |X^T X|_F is |X X^T|_F.
        gram_x, gram_y = x @ x.T, y @ y.T
        shared, own_x, own_y = (gram_x * gram_y).sum(), torch.linalg.norm(gram_x), torch.linalg.norm(gram_y)
    else:
        shared = (y.T @ x).square().sum()
        own_x, own_y = torch.linalg.norm(x.T @ x), torch.linalg.norm(y.T @ y)
    return float(shared / (own_x * own_y))


def _centred(values: Array, name: str) -> Tensor:
    x = tensor(values, name, rows=2)
    if (x == x[0]).all():
        raise InputError(f"all rows of {name} are the same, so there is nothing to compare")
    centred = x - x.mean(0)
    # A scale does not matter, and at 1 no square can over- or underflow.
    return centred / centred.abs().max()
