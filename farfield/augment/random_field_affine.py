"""Rotation, scale, shear and translation that vary smoothly over an image."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from farfield.augment._field_transform import FieldTransform, floating
from farfield.errors import InputError, unknown_name

PADDING = ("zeros", "reflection", "border")


class RandomFieldAffine(FieldTransform):
    """Warp images by affine transformations whose parameters are Gaussian random fields over the pixels.

    The output at a position is the input at another one, which `affine_source` gives (an inverse warp: parameters belong to the
    output's positions), bilinear. All strengths are standard deviations over an image; each parameter has a field of its own,
    independent of the others and, by default, of other images. It transforms in evaluation mode too. Gradients flow to the images.

    A strength says little about how far pixels move: a rotation moves those at the border most. `farfield.measure.warp_distortion` of
    `sources` tells the mean displacement in pixels and how much of the image is folded.

    **Arguments:**
    - ``rotation``: in radians; ``scale``: of the logarithm; ``shear``; ``translation``: as a share of half the width, of each of
      its two components. All at least 0; all 0 is the identity.
    - ``gamma``: of the power spectrum ``|k|^-gamma``: larger is smoother; below 2 images are torn and folded.
    - ``p``: the probability that an image is transformed.
    - ``padding_mode``: what lies outside: "zeros", "reflection" or "border".
    - ``per_sample``: False gives all images of a batch the same fields.
    - ``isotropic``: one scale for both directions, else one for each.
    - ``kernel``, ``length``, ``normalise``, ``periodic``: see `farfield.augment.gaussian_random_field`; the kernel "constant" draws one
      number for an image in place of each field, which is the usual global augmentation of the same strength.
    - ``seed``: of the draws, which continue from batch to batch.

    Raises InputError on a strength below 0, a probability outside [0, 1], an unknown padding or kernel.

    Source: Mansfield et al., arXiv 2311.03629 (local rotation, scale, shear, translation). Its ranges are not known.

    >>> images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> RandomFieldAffine(rotation=0.25, scale=0.15, translation=0.05)(images).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self,
        rotation: float = 0.0,
        scale: float = 0.0,
        shear: float = 0.0,
        translation: float = 0.0,
        gamma: float = 4.0,
        p: float = 1.0,
        padding_mode: str = "zeros",
        per_sample: bool = True,
        *,
        isotropic: bool = True,
        kernel: str = "power",
        length: float | None = None,
        normalise: str = "sample",
        periodic: bool = True,
        seed: int = 0,
    ):
        super().__init__(
            {"rotation": rotation, "scale": scale, "shear": shear, "translation": translation},
            gamma=gamma,
            p=p,
            kernel=kernel,
            length=length,
            normalise=normalise,
            periodic=periodic,
            per_sample=per_sample,
            seed=seed,
        )
        if padding_mode not in PADDING:
            raise unknown_name("padding_mode", padding_mode, PADDING)
        self.padding_mode, self.isotropic = padding_mode, isotropic

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return images warped by newly drawn fields, of their own type (bytes become numbers from 0 to 1).

        Raises InputError on another rank or type.
        """
        return self.on_chosen(floating(images), self._warped)

    def sources(self, n: int, height: int, width: int, device: str | torch.device = "cpu") -> Float[Tensor, "n h w 2"]:
        """Draw fields and return where each pixel's value comes from, as `warp_images`, `warp_masks` and `warp_boxes` take it.

        >>> RandomFieldAffine(rotation=0.1).sources(2, 4, 4).shape
        torch.Size([2, 4, 4, 2])
        """
        device = torch.device(device)
        chosen = self.chosen(n, device)
        source = self._drawn(n, height, width, device)
        if chosen is None:
            return source
        return torch.where(chosen[:, None, None, None], source, affine_source((height, width), device=device))

    def _warped(self, images: Tensor) -> Tensor:
        n, _, height, width = images.shape
        return warp_images(images, self._drawn(n, height, width, images.device), padding_mode=self.padding_mode)

    def _drawn(self, n: int, height: int, width: int, device: torch.device) -> Tensor:
        fields = {}
        for name in self.strengths:
            two = name == "translation" or (name == "scale" and not self.isotropic)
            fields[name] = self.draw(name, n, height, width, device, channels=1 + two)
        return affine_source((height, width), **fields, device=device).expand(n, -1, -1, -1)


def affine_source(
    size: tuple[int, int],
    rotation: Float[Tensor, "n 1 h w"] | None = None,
    scale: Float[Tensor, "n s h w"] | None = None,
    shear: Float[Tensor, "n 1 h w"] | None = None,
    translation: Float[Tensor, "n 2 h w"] | None = None,
    *,
    center: tuple[float, float] = (0.0, 0.0),
    device: str | torch.device | None = None,
) -> Float[Tensor, "n h w 2"]:
    """Return the position that each pixel's value comes from: ``u(p) = R(theta) S(exp s) K(kappa) (p - c) + c + t``.

    Positions are (right, down) from the image's centre in halves of its width, so that a rotation is one in oblong images
    too. ``R = [[cos, -sin], [sin, cos]]``, ``S`` is diagonal, ``K = [[1, kappa], [0, 1]]``. A positive scale shows more of the input
    (it looks smaller), a positive translation moves what is seen to the left or up. Numbers in place of fields, also of
    their own means, are welcome: any shape that broadcasts.

    **Arguments:** ``size``: (height, width); ``rotation`` theta in radians; ``scale`` s, of one channel or of two (right, down);
    ``shear`` kappa; ``translation`` t in halves of the width; None is 0. ``center``: c.

    **Returns:** positions from -1 to 1 within the input along both sides, as ``torch.nn.functional.grid_sample`` takes them with
    ``align_corners=False``.

    >>> affine_source((1, 2))
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    height, width = size
    given = [f for f in (rotation, scale, shear, translation) if f is not None]
    device, dtype = (given[0].device, given[0].dtype) if given else (device, torch.float32)
    aspect = height / width
    x = ((torch.arange(width, device=device, dtype=dtype) * 2 + 1) / width - 1 - center[0]).expand(1, height, width)
    y = ((torch.arange(height, device=device, dtype=dtype) * 2 + 1) / height - 1)[:, None] * aspect - center[1]
    y = y.expand(1, height, width)
    if shear is not None:
        x = x + shear[:, 0] * y
    if scale is not None:
        factor = scale.exp()
        x, y = x * factor[:, 0], y * factor[:, -1]
    if rotation is not None:
        cos, sin = rotation[:, 0].cos(), rotation[:, 0].sin()
        x, y = cos * x - sin * y, sin * x + cos * y
    shift = translation if translation is not None else torch.zeros(1, 2, 1, 1, device=device, dtype=dtype)
    x, y = x + (shift[:, 0] + center[0]), y + (shift[:, 1] + center[1])
    return torch.stack(torch.broadcast_tensors(x, y / aspect), dim=-1)


def warp_images(
    images: Float[Tensor, "n c h w"],
    source: Float[Tensor, "n h2 w2 2"],
    *,
    padding_mode: str = "zeros",
    mode: str = "bilinear",
) -> Float[Tensor, "n c h2 w2"]:
    """Return images sampled at the positions of `affine_source`.

    **Arguments:** ``padding_mode``: "zeros", "reflection" or "border"; ``mode``: "bilinear", "bicubic" or "nearest".

    >>> image = torch.tensor([[[[1.0, 2.0]]]])
    >>> warp_images(image, affine_source((1, 2), translation=torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)))
    tensor([[[[2., 0.]]]])
    """
    images = floating(images)
    if source.ndim != 4 or source.shape[-1] != 2 or len(source) not in (1, len(images)):
        raise InputError(f"source has shape {tuple(source.shape)}; expected ({len(images)}, height, width, 2)")
    source = source.expand(len(images), -1, -1, -1)
    kind = torch.promote_types(images.dtype, torch.float32)
    out = F.grid_sample(images.to(kind), source.to(kind), mode=mode, padding_mode=padding_mode, align_corners=False)
    return out.to(images.dtype)


def warp_masks(masks: Tensor, source: Float[Tensor, "n h w 2"], *, outside: int = 0) -> Tensor:
    """Return masks warped as their images, each pixel the nearest one of the input: no class that was not there appears.

    **Arguments:** ``masks`` (n, h, w) or (n, c, h, w) of any type, also whole numbers and bool; ``outside``: the value there.

    >>> masks = torch.tensor([[[3, 7]]])
    >>> warp_masks(masks, affine_source((1, 2), translation=torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)), outside=-1)
    tensor([[[ 7, -1]]])
    """
    if masks.ndim not in (3, 4):
        raise InputError(f"masks has shape {tuple(masks.shape)}; expected (n, h, w) or (n, c, h, w)")
    layers = masks if masks.ndim == 4 else masks[:, None]
    n, _, height, width = layers.shape
    # Looked up by index, so that whole numbers of any size stay what they are.
    column = ((source[..., 0] + 1) * width / 2 - 0.5).round()
    row = ((source[..., 1] + 1) * height / 2 - 0.5).round()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    at = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long().expand(n, -1, -1)
    out = (
        layers.flatten(2)
        .gather(2, at.flatten(1)[:, None].expand(-1, layers.shape[1], -1))
        .view(*layers.shape[:2], *at.shape[1:])
    )
    out = torch.where(inside[:, None], out, torch.full_like(out, outside))
    return out if masks.ndim == 4 else out[:, 0]


def warp_boxes(
    boxes: Float[Tensor, "n 4"], source: Float[Tensor, "h w 2"], size: tuple[int, int] | None = None
) -> tuple[Float[Tensor, "n 4"], Bool[Tensor, " n"]]:
    """Return the smallest boxes around what the given boxes hold after a warp, and which of them still hold a pixel.

    **Arguments:** ``boxes`` (n, 4) of one image: left, top, right, bottom in pixels, from 0 at the image's edge; ``source`` (h, w, 2) as
    `affine_source` gives it; ``size``: (height, width) of the input, if it is not that of the output.

    **Returns:** boxes to a whole pixel, in the order given; one that holds no pixel any more is all 0.

    >>> warp_boxes(torch.tensor([[1.0, 0.0, 2.0, 1.0]]), affine_source((1, 2))[0])
    (tensor([[1., 0., 2., 1.]]), tensor([True]))
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or source.ndim != 3:
        raise InputError(
            f"boxes has shape {tuple(boxes.shape)} and source {tuple(source.shape)}; expected (n, 4), (h, w, 2)"
        )
    height, width = source.shape[:2]
    rows, columns = size or (height, width)
    x, y = (source[..., 0] + 1) * columns / 2, (source[..., 1] + 1) * rows / 2
    left, top, right, bottom = boxes[:, :, None, None].unbind(1)
    held = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)  # (n, h, w)
    ends = []
    for across, side in ((held.any(1), width), (held.any(2), height)):
        at = torch.arange(side, device=boxes.device)
        first = torch.where(across, at, side).amin(1)
        last = torch.where(across, at + 1, 0).amax(1)
        ends.append((first, last))
    (x0, x1), (y0, y1) = ends
    there = held.flatten(1).any(1)
    return torch.stack([x0, y0, x1, y1], 1).to(boxes.dtype) * there[:, None], there
