"""How complex an image looks: the entropy of a pixel's grey value together with the mean of its neighbours."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array, like, tensor

NORMALISATIONS = ("padded", "exact")
# Pixels held at a time.
AT_ONCE = 2**22


def image_entropy_2d(
    images: Array,
    levels: int | None = None,
    *,
    size: int | None = None,
    stretch: bool = False,
    normalisation: Literal["padded", "exact"] = "padded",
) -> Float[Array, " n"]:
    """Return the two-dimensional entropy of each image in bits: that of pairs (value, mean of the 8 neighbours).

    ``H = - sum p log2 p`` over the distinct pairs of a channel, zeros around the image, mean over the channels. At most the
    logarithm of the number of pixels. A constant image does not have 0: the zeros around it make other pairs at its border.
    Without ``levels`` every distinct float counts, and all natural images come near that bound, so that nothing tells them apart.

    **Arguments:**
    - ``images``: (n, channels, height, width), or (n, height, width) of one channel.
    - ``levels``: round values and means to so many equal steps from 0 to 1, at least 2; images must then lie in [0, 1].
    - ``size``: resize to size x size first (bilinear); ``stretch``: each image from its least value to its greatest over [0, 1]
      (a constant one stays as it is).
    - ``normalisation``: "padded", as in the released code, divides counts by (height + 2)(width + 2), so that the shares sum to less
      than 1; "exact" by the number of pixels.

    Pairs are compared as float32. Raises InputError on other shapes, and numbers out of range.

    Source: Shi et al., ICML 2023, released code (``raw_entropy/calc_entropy.py``); ``levels`` and "exact" are ours.

    >>> import numpy as np
    >>> image_entropy_2d(np.full((1, 12, 12), 0.3)).round(4).tolist()
    [1.0778]
    """
    x = tensor(images, "images", dims=None, dtype=torch.float32)
    if x.ndim not in (3, 4):
        raise InputError(
            f"images has shape {tuple(x.shape)}; expected (n, channels, height, width) or (n, height, width)"
        )
    for name, value, low in (("levels", levels, 2), ("size", size, 1)):
        if value is not None and value < low:
            raise InputError(f"{name} is {value}; it must be at least {low}")
    if normalisation not in NORMALISATIONS:
        raise unknown_name("normalisation", normalisation, NORMALISATIONS)
    if levels is not None and not stretch and not (float(x.min()) >= 0 and float(x.max()) <= 1):
        raise InputError(
            f"images has values from {x.min():g} to {x.max():g}; with levels they must lie in [0, 1]: stretch"
        )
    x = x[:, None] if x.ndim == 3 else x
    pixels = max(x[0].numel(), x.shape[1] * (size or 1) ** 2)
    parts = [_entropy(part, levels, size, stretch, normalisation) for part in x.split(max(1, AT_ONCE // pixels))]
    return like(torch.cat(parts), images)


def _entropy(x: Tensor, levels: int | None, size: int | None, stretch: bool, normalisation: str) -> Tensor:
    if size is not None:
        x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    if stretch:
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        x = torch.where(high > low, (x - low) / torch.where(high > low, high - low, 1.0), x)
    n, channels, height, width = x.shape
    rows = x.reshape(n * channels, 1, height, width)
    border = F.pad(rows, (1, 1, 1, 1))
    p = [border[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]
    # In the released code's order: sums in another order differ in the last digit, and then count as other pairs.
    whole = ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7])) + p[8]
    around = (whole - rows) / 8
    if levels is not None:
        rows, around = ((v.clamp(0, 1) * (levels - 1)).round() for v in (rows, around))
    # Both float32 numbers of a pair in one int64, so that sorting brings equal pairs together; + 0 makes -0 into 0.
    bits = [(v.flatten(1) + 0.0).contiguous().view(torch.int32).long() for v in (rows, around)]
    pairs = ((bits[0] << 32) | (bits[1] & 0xFFFFFFFF)).sort(1).values  # (rows, pixels)
    starts = torch.ones_like(pairs, dtype=torch.bool)
    starts[:, 1:] = pairs[:, 1:] != pairs[:, :-1]
    at = starts.flatten().nonzero().flatten()
    counts = torch.diff(at, append=at.new_tensor([pairs.numel()])).double()
    total = (height + 2) * (width + 2) if normalisation == "padded" else height * width
    share = counts / total
    bits_of = torch.special.entr(share) / torch.log(torch.tensor(2.0, dtype=torch.float64))
    found = torch.zeros(len(pairs), dtype=torch.float64, device=x.device)
    return found.index_add_(0, at // pairs.shape[1], bits_of).reshape(n, channels).mean(1)
