"""A linear map from the units of one network to those of another, to be put between their frozen halves."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError


class StitchLayer(nn.Module):
    """A 1x1 convolution: the same linear map at every position.

    Channels are the second dimension of maps (n, d, h, w), the last one of anything else: vectors (n, d), tokens (n, t, d).

    **Arguments:** ``d_in``, ``d_out``: units of the network that is read and of the one that reads on, at least 1. Weights start
    from N(0, 0.01^2) drawn from ``seed``, the bias at 0, as the paper's do; `of` takes a map that was fitted.

    Raises InputError where a number of units is below 1, and on inputs with another number of channels.

    Source: Li et al., ICLR 2016, section 3.3 (mapping layer); Lenc and Vedaldi, CVPR 2015 (stitching).

    >>> StitchLayer(3, 5)(torch.zeros(2, 3, 4, 4)).shape, StitchLayer(3, 5)(torch.zeros(2, 7, 3)).shape
    (torch.Size([2, 5, 4, 4]), torch.Size([2, 7, 5]))
    """

    def __init__(self, d_in: int, d_out: int, *, seed: int = 0):
        super().__init__()
        for name, value in (("d_in", d_in), ("d_out", d_out)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        drawn = torch.randn(d_out, d_in, generator=torch.Generator().manual_seed(seed))
        self.weight = nn.Parameter(0.01 * drawn)
        self.bias = nn.Parameter(torch.zeros(d_out))

    @classmethod
    def of(cls, weight: Float[Tensor, "d_out d_in"], bias: Float[Tensor, "d_out"]) -> "StitchLayer":
        """Return a layer with these parameters, such as those of a fitted map: ``StitchLayer.of(*sparse_map(a, b, 0.01).affine())``.

        Raises InputError where their shapes do not fit.

        >>> StitchLayer.of(torch.eye(2), torch.ones(2))(torch.zeros(1, 2)).tolist()
        [[1.0, 1.0]]
        """
        weight, bias = torch.as_tensor(weight), torch.as_tensor(bias)
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise InputError(
                f"weight has shape {tuple(weight.shape)} and bias {tuple(bias.shape)}; expected (d_out, d_in) and (d_out,)"
            )
        layer = cls(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return layer

    def l1(self) -> Float[Tensor, ""]:
        """Return the sum of the weights' absolute values, without the bias: times lambda, the penalty of a sparse map.

        >>> StitchLayer.of(torch.tensor([[1.0, -2.0]]), torch.ones(1)).l1().item()
        3.0
        """
        return self.weight.abs().sum()

    def forward(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        at = 1 if x.ndim == 4 else -1
        if x.ndim < 2 or x.shape[at] != self.weight.shape[1]:
            raise InputError(
                f"the input has shape {tuple(x.shape)}; expected (n, d), (n, t, d) or (n, d, h, w) with d = {self.weight.shape[1]}"
            )
        if at == 1:
            return nn.functional.conv2d(x, self.weight[:, :, None, None], self.bias)
        return nn.functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}"
