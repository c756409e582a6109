"""How much an augmentation destroys of an image's structure, and how far a warp moves and folds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor

if TYPE_CHECKING:
    from jaxtyping import Float

CHUNK = 4_000_000  # pixels compared at once
WINDOW, SIGMA = 11, 1.5


@dataclass(frozen=True)
class WarpDistortion:
    """What a warp does to the image's plane.

    **Fields:** ``displacement``: mean distance between a pixel and where its value comes from, in pixels; ``folded``: the share of the image,
    from 0 to 1, where the Jacobian's determinant is 0 or below, so that the input is mirrored or crushed there.

    >>> WarpDistortion(displacement=0.5, folded=0.0).displacement
    0.5
    """

    displacement: float
    folded: float


def structure_loss(
    x: Float[Array, "n c h w"], augmented: Float[Array, "n c h w"], *, value_range: float = 1.0
) -> float:
    """Return 1 minus the structural similarity (SSIM) of images and their augmented versions: 0 for the same, up to 2.

    A Gaussian window of 11 x 11 pixels (sigma 1.5) inside the image, ``C1 = (0.01 L)^2``, ``C2 = (0.03 L)^2``; the mean over
    places, channels and images. In images below 11 pixels the window is the largest odd one that fits.

    **Arguments:** ``x`` and ``augmented`` of one shape; ``value_range``: L, the range of values, above 0 (255 for bytes).

    Raises InputError on shapes that differ or are none of images, values that are not finite, or a range of 0 or below.

    Source: Wang et al., Image quality assessment, IEEE TIP 2004, equation 13.

    >>> images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> structure_loss(images, images), structure_loss(images, 1 - images) > 1
    (0.0, True)
    """
    if not value_range > 0:
        raise InputError(f"value_range is {value_range}; it must be above 0")
    a, b = tensor(x, "x", dims=None), tensor(augmented, "augmented", dims=None)
    same_rows(x=a, augmented=b)
    if a.ndim != 4 or a.shape != b.shape:
        raise InputError(f"x has shape {tuple(a.shape)} and augmented {tuple(b.shape)}; expected (n, c, h, w) twice")
    side = min(WINDOW, *(s - 1 + s % 2 for s in a.shape[2:]))
    at = torch.arange(side, dtype=torch.float64, device=a.device) - side // 2
    window = (-0.5 * (at / SIGMA).square()).exp()
    window /= window.sum()
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    total, places = 0.0, 0
    rows = max(1, CHUNK // a[0].numel())
    for p, q in zip(a.split(rows), b.split(rows)):
        p, q = (values.reshape(-1, 1, *values.shape[2:]) for values in (p, q))
        mean_p, mean_q, square_p, square_q, product = (_blur(v, window) for v in (p, q, p * p, q * q, p * q))
        variances = square_p - mean_p.square() + square_q - mean_q.square()
        covariance = product - mean_p * mean_q
        similar = (2 * mean_p * mean_q + c1) * (2 * covariance + c2)
        similar = similar / ((mean_p.square() + mean_q.square() + c1) * (variances + c2))
        total, places = total + float((1 - similar).sum()), places + similar.numel()
    # At most 1 but for rounding.
    return max(0.0, total / places)


def warp_distortion(source: Float[Array, "n h w 2"]) -> WarpDistortion:
    """Return how far a warp moves pixels and how much of the image it folds, over all images given.

    The Jacobian is that of neighbouring pixels: their differences to the right and down.

    **Arguments:** ``source`` (n, h, w, 2): where each pixel's value comes from, (right, down) from -1 to 1 within the input, as
    `farfield.augment.affine_source` and ``torch.nn.functional.grid_sample`` (``align_corners=False``) have it; input and output of one size.

    Raises InputError on another shape, below 2 x 2 pixels, or values that are not finite.

    >>> from farfield.augment import affine_source
    >>> one_pixel = torch.tensor([2 / 8, 0.0]).view(1, 2, 1, 1)
    >>> warp_distortion(affine_source((8, 8), translation=one_pixel))
    WarpDistortion(displacement=1.0, folded=0.0)
    """
    at = tensor(source, "source", dims=None)
    if at.ndim != 4 or at.shape[-1] != 2 or min(at.shape[1:3]) < 2:
        raise InputError(f"source has shape {tuple(at.shape)}; expected (n, height, width, 2) of at least 2 x 2 pixels")
    height, width = at.shape[1:3]
    pixels = (at + 1) * torch.tensor([width / 2, height / 2], dtype=at.dtype, device=at.device) - 0.5
    down, right = torch.meshgrid(
        *(torch.arange(s, dtype=at.dtype, device=at.device) for s in (height, width)), indexing="ij"
    )
    moved = (pixels - torch.stack([right, down], -1)).norm(dim=-1).mean()
    across, along = pixels[:, :-1, 1:] - pixels[:, :-1, :-1], pixels[:, 1:, :-1] - pixels[:, :-1, :-1]
    determinant = across[..., 0] * along[..., 1] - across[..., 1] * along[..., 0]
    return WarpDistortion(float(moved), float((determinant <= 0).double().mean()))


def _blur(values: Tensor, window: Tensor) -> Tensor:
    return F.conv2d(F.conv2d(values, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
