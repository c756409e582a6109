"""A linear map that stays a rotation or reflection, whatever the optimizer does."""

import torch
from torch import nn
from torch.nn.utils import parametrizations

from farfield.errors import InputError


class OrthogonalLinear(nn.Linear):
    """``y = W x`` without bias, with W (dim, dim) orthogonal: lengths and angles of the inputs are kept.

    A thin layer over torch's orthogonal parametrization: what is trained is free, W is computed from it, so no
    optimizer and no rate leads away from orthogonal matrices. ``layer.weight = W`` takes an orthogonal matrix as it is;
    of another one its QR factor is taken. The cost of a training step grows with dim^3.

    **Arguments:** ``dim``: of the inputs and outputs, at least 1. It starts from a random W, drawn like a linear
    layer's weights.

    Raises InputError where dim is below 1.

    Source: Zhou et al., ICCV 2023, section 3.3; Lezcano-Casado, NeurIPS 2019 (the parametrization). Differs from the
    released code in Cayley's map for the matrix exponential: some ten times as fast to train, and orthogonal to 1e-5 in
    float32, which the exponential is not beyond about 128 dimensions.

    >>> layer = OrthogonalLinear(3)
    >>> round(layer(torch.ones(1, 3)).norm().item(), 3), layer.orthogonality_error() < 1e-5
    (1.732, True)
    """

    def __init__(self, dim: int):
        if dim < 1:
            raise InputError(f"dim is {dim}; it must be at least 1")
        super().__init__(dim, dim, bias=False)
        parametrizations.orthogonal(self, orthogonal_map="cayley")

    @torch.no_grad()
    def orthogonality_error(self) -> float:
        """Return the largest entry of ``|W^T W - I|``.

        >>> OrthogonalLinear(1).orthogonality_error()
        0.0
        """
        weight = self.weight
        return float((weight.T @ weight - torch.eye(len(weight), device=weight.device)).abs().max())
