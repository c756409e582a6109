"""Red, green and blue, and hue, saturation and value: there and back, differentiable."""

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError


def rgb_to_hsv(images: Float[Tensor, "*n 3 h w"]) -> Float[Tensor, "*n 3 h w"]:
    """Return images of red, green and blue as hue (in turns, from 0 to below 1), saturation and value (from 0 to 1).

    Grey pixels, which have no hue, get 0; black ones have saturation 0. Gradients flow where hue and saturation are smooth, and are
    0 where they are not.

    **Arguments:** ``images`` (..., 3, height, width) floating-point in [0, 1]; the range is not checked.

    Raises InputError on another shape or type.

    Source: Smith, Color gamut transform pairs, SIGGRAPH 1978 (the hexcone).

    >>> rgb_to_hsv(torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1)).flatten()
    tensor([0.3333, 1.0000, 1.0000])
    """
    red, green, blue = _check(images, "red, green and blue").unbind(-3)
    value = images.amax(-3)
    chroma = value - images.amin(-3)
    grey = chroma == 0
    # A divisor of 1 where there is nothing to divide by: gradients then are 0 and not undefined.
    divisor = torch.where(grey, torch.ones_like(chroma), chroma)
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    hue = sixths / 6
    hue = hue - hue.floor()
    # What is left of a tiny negative number rounds to 1, which is 0 again.
    hue = torch.where(grey | (hue >= 1), torch.zeros_like(hue), hue)
    saturation = chroma / torch.where(value == 0, torch.ones_like(value), value)
    return torch.stack([hue, saturation, value], -3)


def hsv_to_rgb(images: Float[Tensor, "*n 3 h w"]) -> Float[Tensor, "*n 3 h w"]:
    """Return images of hue (in turns, any number: it wraps), saturation and value (from 0 to 1) as red, green and blue.

    **Arguments:** ``images`` (..., 3, height, width) floating-point.

    Raises InputError on another shape or type.

    Source: as `rgb_to_hsv`; each channel is ``v - v s a``, with a from 0 to 1 by how far the hue is from it, in sixths of a turn.

    >>> hsv_to_rgb(torch.tensor([1 / 3, 1.0, 1.0]).view(3, 1, 1)).flatten().round()
    tensor([0., 1., 0.])
    """
    hue, saturation, value = _check(images, "hue, saturation and value").unbind(-3)
    sixths = 6 * (hue - hue.floor())  # a remainder, which is several times as slow
    chroma = value * saturation
    away = [2 - (sixths - 3).abs(), (sixths - 2).abs() - 1, (sixths - 4).abs() - 1]
    return torch.stack([value - chroma * share.clamp(0, 1) for share in away], -3)


def _check(images: Tensor, channels: str) -> Tensor:
    if images.ndim < 3 or images.shape[-3] != 3 or not images.is_floating_point():
        raise InputError(
            f"images has shape {tuple(images.shape)} and type {images.dtype}; expected (..., 3, height, width), "
            f"floating-point numbers: {channels}"
        )
    return images
