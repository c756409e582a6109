"""Images moved by a few whole pixels, each by its own."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError


class RandomShift(nn.Module):
    """Move each image by up to ``most`` whole pixels in both directions; what comes in is 0.

    **Arguments:** ``most``: at least 0 and below the images' sides; ``seed``: of the draws, which continue from batch to batch.

    Raises InputError on ``most`` below 0, and on images of another rank or smaller than that.

    >>> RandomShift(1, seed=0)(torch.ones(2, 1, 3, 3)).sum((1, 2, 3))
    tensor([4., 4.])
    """

    def __init__(self, most: int = 2, *, seed: int = 0):
        super().__init__()
        if most < 0:
            raise InputError(f"most is {most}; it must be at least 0")
        self.most = most
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return moved images of the same shape."""
        if images.ndim != 4 or min(images.shape[2:]) <= self.most:
            raise InputError(
                f"images have shape {tuple(images.shape)}; expected (n, channels, height, width) with sides above {self.most}"
            )
        n, _, height, width = images.shape
        shifts = torch.randint(2 * self.most + 1, (2, n, 1), generator=self.generator).to(images.device)
        padded = nn.functional.pad(images, [self.most] * 4)
        rows = shifts[0] + torch.arange(height, device=images.device)
        columns = shifts[1] + torch.arange(width, device=images.device)
        at = torch.arange(n, device=images.device)[:, None, None]
        # Advanced indices on both sides of the channels: they come out first, (n, height, width, channels).
        return padded[at, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
