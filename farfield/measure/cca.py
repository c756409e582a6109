"""Canonical correlations: how well the directions of one representation can be read off another."""

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor


def canonical_correlations(
    x: Float[Array, "n d1"], y: Float[Array, "n d2"], *, variance_kept: float = 1.0
) -> Float[Array, "directions"]:
    """Return the canonical correlations of two representations, from 1 down to 0, one per direction of the smaller.

    They are the same under any invertible linear map and shift of either side. Directions are counted by rank, so that
    columns which others add up to do no harm. Where the rank of one side is n - 1, all of them are 1, whatever the data: have
    many more rows than columns, or keep less of the variance.

    **Arguments:**
    - ``x``, ``y``: arrays or tensors, one row per example, the same examples in the same order; at least 2.
    - ``variance_kept``: share of each side's variance, above 0 and up to 1: below 1, only its first principal components that
      hold this share are compared (0.99 in SVCCA, Raghu et al., NeurIPS 2017).

    Raises InputError where the rows do not match, a value is not finite, all rows of one are the same, or the share is out
    of range.

    >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> canonical_correlations(x, torch.stack([x[:, 0] + x[:, 1], x[:, 0] * x[:, 1]], 1)).round(decimals=6).tolist()
    [1.0, 0.0]
    """
    if not 0 < variance_kept <= 1:
        raise InputError(f"variance_kept is {variance_kept}; it must be above 0 and at most 1")
    first, second = tensor(x, "x", rows=2), tensor(y, "y", rows=2)
    same_rows(x=first, y=second)
    bases = [_basis(values, name, variance_kept) for values, name in ((first, "x"), (second, "y"))]
    return like(torch.linalg.svdvals(bases[0].T @ bases[1]).clamp(max=1), x)


def cca(x: Float[Array, "n d1"], y: Float[Array, "n d2"], *, variance_kept: float = 1.0) -> float:
    """Return the mean squared canonical correlation of two representations, from 0 to 1.

    1 where the smaller is a linear function of the other, 0 where no column of one correlates with any of the other. With
    few rows for the number of columns it is high by chance; compare at the same n.

    **Arguments**, errors: as `canonical_correlations`. ``variance_kept=0.99`` gives the directions of SVCCA.

    Source: Kornblith et al., ICML 2019, table 1 (R^2 of CCA), over the directions of the smaller side.

    >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> round(cca(x, torch.stack([x[:, 0] + x[:, 1], x[:, 0] * x[:, 1]], 1)), 6)
    0.5
    """
    found = tensor(canonical_correlations(x, y, variance_kept=variance_kept), "correlations", dims=1)
    return float(found.square().mean())


def _basis(values: Float[Tensor, "n d"], name: str, variance_kept: float) -> Float[Tensor, "n rank"]:
    """Return an orthonormal basis of the centred columns, its principal directions first."""
    if (values == values[0]).all():
        raise InputError(f"all rows of {name} are the same, so there is nothing to compare")
    centred = values - values.mean(0)
    # A common scale does not matter, and at 1 no square can over- or underflow. Columns of very different sizes count alike
    # for the rank only if each has length 1 first; principal components are of the columns as they are.
    centred = centred / (centred.abs().max() if variance_kept < 1 else centred.norm(dim=0).clamp(min=1e-300))
    vectors, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    rank = int((sizes > sizes[0] * max(centred.shape) * torch.finfo(sizes.dtype).eps).sum())
    if variance_kept < 1:
        share = sizes.square().cumsum(0) / sizes.square().sum()
        rank = min(rank, 1 + int((share < variance_kept * (1 - 1e-12)).sum()))
    return vectors[:, :rank]
