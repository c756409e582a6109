"""Grey images on colours that flow smoothly over the background: colour that says nothing about what is drawn."""

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.augment.color_spaces import hsv_to_rgb
from farfield.augment.random_field import gaussian_random_field
from farfield.errors import InputError

CHUNK = 4096


def field_backgrounds(
    images: Float[Tensor, "n 1 h w"], *, gamma: float = 3.0, seed: int = 0
) -> Float[Tensor, "n 3 h w"]:
    """Return grey images as bright strokes of one colour each, on a darker background of random smooth colours.

    Each background has a hue of its own that varies over the image (standard deviation 0.15 turns), saturation 0.7, and a value of
    0.35 that varies (0.1; cut off at 0.1 and 0.6); the ink has a random hue, saturation 0.7 and value 1. Where an image is between 0 and 1
    the two are blended.

    **Arguments:** ``images`` in [0, 1], ink 1 on 0; ``gamma``: smoothness, see `farfield.augment.gaussian_random_field`; ``seed`` of the colours.

    Raises InputError on another shape, type or range.

    >>> field_backgrounds(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """
    if images.ndim != 4 or images.shape[1] != 1 or not images.is_floating_point():
        raise InputError(
            f"images has shape {tuple(images.shape)} and type {images.dtype}; expected (n, 1, height, width) floating-point"
        )
    if len(images) and not (float(images.amin()) >= 0 and float(images.amax()) <= 1):
        raise InputError(f"images has values from {images.amin():g} to {images.amax():g}; expected [0, 1]")
    generator = torch.Generator(images.device).manual_seed(seed)
    made = []
    for ink in images.split(CHUNK):
        n, _, height, width = ink.shape
        fields = gaussian_random_field((n, 2, height, width), gamma, generator=generator, device=ink.device)
        hues = torch.rand(2, n, 1, 1, 1, generator=generator, device=ink.device)
        hue = hues[0] + 0.15 * fields[:, :1]
        value = (0.35 + 0.1 * fields[:, 1:]).clamp(0.1, 0.6)
        background = hsv_to_rgb(torch.cat([hue, torch.full_like(hue, 0.7), value], 1))
        pen = hsv_to_rgb(torch.cat([hues[1], torch.full_like(hues[1], 0.7), torch.ones_like(hues[1])], 1))
        made.append((background + ink * (pen - background)).to(images.dtype))
    return torch.cat(made) if made else images.expand(-1, 3, -1, -1)
