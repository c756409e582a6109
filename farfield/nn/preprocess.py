"""The resizing and normalising that a pretrained vision model was trained with, as a layer in front of it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from farfield.errors import InputError


class Preprocess(nn.Module):
    """Resize, crop the centre and normalise images (n, channels, height, width) with values in [0, 1].

    Images of one channel are repeated to as many as the model has.

    **Arguments:**
    - ``mean``, ``std``: one number per channel of the model.
    - ``resize``: (height, width), or the length of the shorter side, or None to leave the size.
    - ``crop``: (height, width) cut from the centre (padded with zeros where the image is smaller), or None.
    - ``interpolation``: "nearest", "bilinear" or "bicubic"; the last two smooth before they shrink, as Pillow does.

    >>> layer = Preprocess([0.5], [0.5], resize=(4, 4))
    >>> layer(torch.ones(1, 1, 2, 2)).flatten().unique()
    tensor([1.])
    """

    def __init__(
        self,
        mean: list[float],
        std: list[float],
        *,
        resize: tuple[int, int] | int | None = None,
        crop: tuple[int, int] | None = None,
        interpolation: str = "bilinear",
    ):
        super().__init__()
        if interpolation not in ("nearest", "bilinear", "bicubic"):
            raise InputError(f"interpolation is {interpolation!r}; it must be nearest, bilinear or bicubic")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32)[:, None, None])
        self.resize, self.crop, self.interpolation = resize, crop, interpolation

    def forward(self, x: Tensor) -> Tensor:
        x = self._resized(x)
        if self.crop is not None:
            x = _centre(x, *self.crop)
        # Normalising widens one channel to the three of mean and std, which is repeating it.
        return (x - self.mean) / self.std  # (n, c, h, w)

    def _resized(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if isinstance(self.resize, int):
            short, long = min(height, width), max(height, width)
            longer = int(self.resize * long / short)
            size = (self.resize, longer) if height <= width else (longer, self.resize)
        else:
            size = self.resize or (height, width)
        if size == (height, width):
            return x
        if self.interpolation == "nearest":
            return F.interpolate(x, size, mode="nearest-exact")
        # Bicubic curves swing beyond black and white. Pillow cuts that off after each direction, so that is done here too.
        for step in ((height, size[1]), size):
            x = F.interpolate(x, step, mode=self.interpolation, align_corners=False, antialias=True).clamp(0, 1)
        return x


def _centre(x: Tensor, height: int, width: int) -> Tensor:
    missing_rows, missing_columns = max(0, height - x.shape[2]), max(0, width - x.shape[3])
    x = F.pad(x, (missing_columns // 2, -(-missing_columns // 2), missing_rows // 2, -(-missing_rows // 2)))
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]
