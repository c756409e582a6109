"""Transformations of images (n, channels, height, width), float32 in [0, 1], of which the graded shifts are made.

Lengths are fractions of the width, so that a strength means the same on 8x8 and on 105x105 pixels. Nothing is checked
here: `farfield.tasks.shifts` does that.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError


def rotate(images: Tensor, degrees: float) -> Tensor:
    """Turn images counter-clockwise about their centre, bilinear, with 0 outside.

    >>> rotate(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 90).round()
    tensor([[[[2., 4.],
              [1., 3.]]]])
    """
    angle = math.radians(degrees)
    return _warp(images, torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]))


def translate(images: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Move images by ``right`` and ``down`` (n,), in fractions of their width, bilinear, with 0 outside.

    >>> translate(torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([0.5]), torch.tensor([0.0]))
    tensor([[[[0., 1.]]]])
    """
    return _warp(images, torch.eye(2), -torch.stack([right, down], dim=1))


def rescale(images: Tensor, factor: float) -> Tensor:
    """Shrink (factor below 1) or enlarge images about their centre, bilinear, with 0 outside.

    >>> rescale(torch.ones(1, 1, 4, 4), 0.5)[0, 0, 0].tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    return _warp(images, torch.eye(2) / factor)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Blur images with a Gaussian; ``sigma`` is in fractions of the width. Edges are continued outwards.

    >>> blur(torch.full((1, 1, 4, 4), 0.5), 0.1)[0, 0, 0]
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    n, c, height, width = images.shape
    sigma = sigma * width
    radius = max(1, math.ceil(4 * sigma))
    # The Gaussian integrated over each pixel, not sampled at its centre: on an 8x8 image sigma is below one pixel.
    edges = torch.arange(-radius, radius + 2, dtype=torch.float64) - 0.5
    kernel = torch.erf(edges / (sigma * math.sqrt(2))).diff()
    kernel = (kernel / kernel.sum()).to(images.dtype)
    padded = torch.nn.functional.pad(images.reshape(n * c, 1, height, width), [radius] * 4, mode="replicate")
    rows = torch.nn.functional.conv2d(padded, kernel.view(1, 1, -1, 1))
    return torch.nn.functional.conv2d(rows, kernel.view(1, 1, 1, -1)).reshape(images.shape)


def occlude(images: Tensor, side: float, across: Tensor, down: Tensor) -> Tensor:
    """Cover part of each image with a mid-grey rectangle whose sides are ``side`` times those of the image.

    **Arguments:** ``across``, ``down`` (n,) in [0, 1]: where it lies, 0 at the left or top edge, 1 at the right or bottom.
    A pixel that is covered in part is blended.

    >>> zero = torch.zeros(1)
    >>> occlude(torch.ones(1, 1, 1, 4), 0.375, zero, zero)[0, 0, 0, :2]
    tensor([0.8125, 0.9062])
    """
    covered_rows = _covered(images.shape[2], side, down)
    covered_columns = _covered(images.shape[3], side, across)
    mask = (covered_rows[:, :, None] * covered_columns[:, None, :]).unsqueeze(1)  # (n, 1, height, width)
    return images * (1 - mask) + 0.5 * mask


def color(
    images: Tensor, labels: Tensor, flip: float, generator: torch.Generator, *, label_flip: float = 0.25
) -> tuple[Tensor, Tensor]:
    """Colour grey images so that colour predicts the label better than shape does, as Colored MNIST.

    Labels are flipped with probability ``label_flip``. The colour, 0 or 1, is the new label flipped with probability ``flip``;
    the image is put into the channel of that number, the other channel is 0 (Arjovsky et al., 2019, section 5.2).
    """
    if images.shape[1] != 1:
        raise InputError(f"the shift color needs grey images of one channel; these have {images.shape[1]}")
    draws = torch.rand(2, len(images), generator=generator)
    labels = labels ^ (draws[0] < label_flip).long()
    colors = labels ^ (draws[1] < flip).long()
    colored = torch.zeros(len(images), 2, *images.shape[2:])
    colored[torch.arange(len(images)), colors] = images[:, 0]
    return colored, labels


def background(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Return ``|strength * patch - image|``, with a random patch of a photograph for each image, as MNIST-M.

    Grey images get grey patches, images of three channels coloured ones.

    Raises InputError on another number of channels, and on images larger than the photographs.

    >>> background(torch.zeros(1, 1, 8, 8), 0.0, torch.Generator()).sum()
    tensor(0.)
    """
    n, c, height, width = images.shape
    if c not in (1, 3):
        raise InputError(f"the shift background needs images of one or three channels; these have {c}")
    # A small image gets a patch of a reduced photograph: 8x8 pixels of the original hold no texture.
    reduction = max(1, 28 // width)
    photographs = _photographs(reduction)  # (2, 3, rows, columns)
    if c == 1:
        photographs = (photographs * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=1, keepdim=True)
    room = photographs.shape[2] - height + 1, photographs.shape[3] - width + 1
    if min(room) < 1:
        raise InputError(f"the shift background takes images up to 427x640; these are {height}x{width}")
    which, top, left = (torch.randint(0, high, (n,), generator=generator) for high in (2, *room))
    rows = (top[:, None] + torch.arange(height))[:, :, None]
    columns = (left[:, None] + torch.arange(width))[:, None, :]
    patches = photographs[which[:, None, None], :, rows, columns].permute(0, 3, 1, 2)
    return (strength * patches - images).abs()


@functools.lru_cache(maxsize=4)
def _photographs(reduction: int) -> Tensor:
    """The two sample photographs of scikit-learn, (2, 3, rows, columns) in [0, 1], averaged over square blocks."""
    from sklearn.datasets import load_sample_images

    photographs = np.stack(load_sample_images().images)  # (2, 427, 640, 3)
    images = torch.from_numpy(photographs).permute(0, 3, 1, 2).float() / 255
    return torch.nn.functional.avg_pool2d(images, reduction)


def _warp(images: Tensor, matrix: Tensor, offset: Tensor | None = None) -> Tensor:
    """Sample each image at ``matrix @ position + offset``, bilinear, with 0 outside.

    **Arguments:** ``matrix`` (2, 2) and ``offset`` (n, 2) act on (right, down) from the centre, in fractions of the width.
    """
    n, _, height, width = images.shape
    # grid_sample counts each axis from -1 to 1, whatever the side.
    aspect = torch.tensor([[1.0, height / width], [width / height, 1.0]])
    offset = torch.zeros(n, 2) if offset is None else 2 * offset * torch.tensor([1.0, width / height])
    theta = torch.cat([(matrix * aspect).expand(n, 2, 2), offset[:, :, None]], dim=2)
    grid = torch.nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, align_corners=False)


def _covered(pixels: int, side: float, place: Tensor) -> Tensor:
    """Return (n, pixels): how much of each pixel an interval of length ``side * pixels`` covers."""
    start = (place * (1 - side) * pixels)[:, None]
    pixel = torch.arange(pixels)
    return (torch.minimum(pixel + 1, start + side * pixels) - torch.maximum(pixel, start)).clamp(0, 1)
