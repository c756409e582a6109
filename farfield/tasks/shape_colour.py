"""Images of one shape each, whose colour, shape and texture are independent and can each be learned."""

import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.tasks.labelled_features import LabelledFeatures

COLOURS = torch.tensor([[0.9, 0.2, 0.2], [0.2, 0.75, 0.25], [0.25, 0.35, 0.95], [0.9, 0.8, 0.2]])
SHAPES = ("circle", "square", "triangle", "cross")
TEXTURES = ("plain", "horizontal stripes", "vertical stripes", "checks")


class ShapeColour(LabelledFeatures):
    """Images (3, size, size) of one shape at a random place and size: 4 colours, 4 shapes, 4 textures, on noisy grey.

    All 64 combinations come up equally often (exactly where n is a multiple of 64). Labels are 0 to 3 for each of
    ``"colour"`` (red, green, blue, yellow), ``"shape"`` (circle, square, triangle, cross) and ``"texture"`` (plain, horizontal
    stripes, vertical stripes, checks).

    **Arguments:** ``n``: rows; ``size``: side in pixels, at least 12; ``noise``: standard deviation of the noise added to every
    pixel, which lies in [0, 1]; ``seed``: of all draws.

    Raises InputError on an n below 1, a size below 12 and a negative noise.

    Source: after the images of Lampinen, Chan, Hermann, TMLR 2024, and Hermann, Lampinen, NeurIPS 2020; the drawing is ours.

    >>> data = ShapeColour(128, seed=0)
    >>> data.x.shape, data.names, data.y[:, 1].bincount().tolist()
    (torch.Size([128, 3, 24, 24]), ('colour', 'shape', 'texture'), [32, 32, 32, 32])
    """

    def __init__(self, n: int, size: int = 24, *, noise: float = 0.05, seed: int = 0):
        if n < 1 or size < 12 or not noise >= 0:
            raise InputError(f"n is {n}, size {size}, noise {noise}; expected n >= 1, size >= 12 and noise >= 0")
        generator = torch.Generator().manual_seed(seed)
        cell = torch.randperm(n, generator=generator)
        y = torch.stack([cell % 4, cell // 4 % 4, cell // 16 % 4], 1)
        # In units of half the image: radius, and a centre that keeps the shape inside.
        radius = 0.4 + 0.3 * torch.rand(n, generator=generator)
        centre = (2 * torch.rand(n, 2, generator=generator) - 1) * (1 - radius)[:, None]
        # So many at a time that large images fit in memory.
        at_once = max(1, 2**22 // size**2)
        parts = [
            _draw(y[i : i + at_once], radius[i : i + at_once], centre[i : i + at_once], size, noise, generator)
            for i in range(0, n, at_once)
        ]
        super().__init__(torch.cat(parts), y, names=("colour", "shape", "texture"), classes=(4, 4, 4))


def _draw(y: Tensor, radius: Tensor, centre: Tensor, size: int, noise: float, generator: torch.Generator) -> Tensor:
    along = (2 * torch.arange(size) + 1) / size - 1
    u = (along[None, None, :] - centre[:, 0, None, None]) / radius[
        :, None, None
    ]  # (n, 1, size): across, -1 to 1 in the shape
    v = (along[None, :, None] - centre[:, 1, None, None]) / radius[:, None, None]  # (n, size, 1): down
    square = (u.abs() <= 0.8) & (v.abs() <= 0.8)
    inside = torch.stack(
        [
            u.square() + v.square() <= 0.9**2,
            square,
            (v <= 0.8) & (v >= 2 * u.abs() - 0.9),
            ((u.abs() <= 0.32) | (v.abs() <= 0.32)) & (u.abs() <= 0.95) & (v.abs() <= 0.95),
        ],
        1,
    )
    # Stripes of about 2 pixels at size 24, in pixels of the image: the texture says nothing about where the shape is.
    width = max(2, size // 12)
    stripe = (torch.arange(size) // width) % 2 == 0
    across, down = stripe.expand(size, size), stripe[:, None].expand(size, size)
    light = torch.stack([torch.ones(size, size, dtype=torch.bool), down, across, across ^ down])
    rows = torch.arange(len(y))
    ink = inside[rows, y[:, 1]].unsqueeze(1)
    shade = torch.where(light[y[:, 2]], 1.0, 0.45).unsqueeze(1)
    image = torch.where(ink, COLOURS[y[:, 0]][:, :, None, None] * shade, 0.5)
    return (image + noise * torch.randn(image.shape, generator=generator)).clamp_(0, 1)
