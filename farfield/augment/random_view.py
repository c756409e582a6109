"""A random change of each example that leaves what it is: the two views of contrastive learning, for any kind of input."""

import math

import torch
from torch import Tensor, nn

from farfield.errors import InputError


class RandomView(nn.Module):
    """Change each example of a batch at random, by the kind of its input.

    - Images ``(n, channels, height, width)``: turned by up to 15 degrees, scaled by 0.85 to 1.15, moved by up to a tenth of each
      side (bilinear, 0 outside), and normal noise of 0.1 on every value.
    - Vectors ``(n, d)`` of numbers: each value replaced with probability 0.3 by that of another example of the batch, so that every
      feature keeps its own distribution (SCARF: Bahri et al., ICLR 2022, which replaces 0.6).
    - Token ids ``(n, length)`` of whole numbers: each token with probability 0.15 replaced by padding, which models mask.

    **Arguments:** ``strength``: a factor on all of these, at least 0; 0 changes nothing. ``padding``: the id of padding. ``seed``: of the
    draws, which continue from batch to batch.

    Raises InputError on a negative strength, and on inputs of another shape.

    >>> view = RandomView(seed=1)
    >>> x = torch.rand(4, 1, 8, 8)
    >>> view(x).shape, bool((view(x) == x).all())
    (torch.Size([4, 1, 8, 8]), False)
    """

    def __init__(self, *, strength: float = 1.0, padding: int = 0, seed: int = 0):
        super().__init__()
        if not strength >= 0:
            raise InputError(f"strength is {strength}; it must be at least 0")
        self.strength, self.padding = strength, padding
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return the changed batch, of the shape and type of what came."""
        if x.ndim == 4 and x.is_floating_point():
            return self._image(x)
        if x.ndim == 2 and x.is_floating_point():
            other = torch.randint(len(x), x.shape, generator=self.generator).to(x.device)
            return torch.where(self._chance(x, 0.3), x.gather(0, other), x)
        if x.ndim == 2:
            return x.masked_fill(self._chance(x, 0.15), self.padding)
        raise InputError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; expected images (n, c, h, w), vectors (n, d) or token ids (n, length)"
        )

    def _chance(self, x: Tensor, probability: float) -> Tensor:
        return (torch.rand(x.shape, generator=self.generator) < self.strength * probability).to(x.device)

    def _image(self, x: Tensor) -> Tensor:
        if self.strength == 0:
            return x
        draws = self.strength * (2 * torch.rand(4, len(x), generator=self.generator) - 1)
        angle, scale, right, down = draws * torch.tensor([math.pi / 12, 0.15, 0.2, 0.2])[:, None]  # a side is 2 long
        # Where an output pixel is taken from: the inverse of turning, scaling and moving. By broadcasting, a tenth of affine_grid's cost.
        cos, sin, right, down = (
            v.to(x)[:, None, None] for v in (angle.cos() / (1 + scale), angle.sin() / (1 + scale), right, down)
        )
        across, along = ((2 * torch.arange(n).to(x) + 1) / n - 1 for n in (x.shape[3], x.shape[2]))
        along = along[:, None]
        grid = torch.stack([cos * across - sin * along + right, sin * across + cos * along + down], 3)  # (n, h, w, 2)
        moved = nn.functional.grid_sample(x, grid, align_corners=False)
        return moved + 0.1 * self.strength * torch.randn(x.shape, generator=self.generator).to(x)
