"""Shorter embeddings: the first dimensions of those that were trained to be cut."""

from jaxtyping import Float
from torch.nn import functional as F

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor


def truncate(z: Float[Array, "n d"], m: int, normalize: bool = True) -> Float[Array, "n m"]:
    """Return the first m dimensions of embeddings, each row then brought to length 1.

    The cut comes first: a row of length 1 that is cut afterwards is shorter than 1, by other factors in other rows,
    which changes distances.

    **Arguments:** ``z``: float32 stays so, anything else becomes float64; ``m``: from 1 to d; ``normalize``: False only
    cuts. A row whose first m values are all 0 stays zeros.

    Raises InputError on an m out of range, and on values that are not finite.

    Source: Kusupati et al., NeurIPS 2022, section 3.

    >>> import numpy as np
    >>> truncate(np.array([[3.0, 4.0, 12.0]]), 2).tolist()
    [[0.6, 0.8]]
    """
    vectors = tensor(z, "z", dtype=None)
    if not 1 <= m <= vectors.shape[1]:
        raise InputError(f"m is {m}; z has {vectors.shape[1]} dimensions, so it must be from 1 to {vectors.shape[1]}")
    prefix = vectors[:, :m]
    return like(F.normalize(prefix, dim=1) if normalize else prefix.clone(), z)
