"""One view of an image for contrastive learning: the standard augmentations, with others let in after the crop."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from farfield.augment._field_transform import floating
from farfield.augment.random_field_affine import warp_images
from farfield.augment.random_field_color import local_color
from farfield.errors import InputError


class ContrastiveView(nn.Module):
    """Crop, flip, jitter, grey out and blur each image of a batch at random: SimCLR's pipeline on tensors, a whole batch at once.

    In order: a crop of a random share of the area and a random shape, resized to the input's size, and a flip (one bilinear sampling);
    then ``inner``, such as a `RandomFieldAffine`; then hue, saturation, brightness and contrast of the whole image; grey; blur.
    Two calls make two views. It transforms in evaluation mode too.

    **Arguments:**
    - ``crop``: smallest and largest share of the area that is kept, above 0 and at most 1; ``aspect``: smallest and largest ratio of
      the crop's width to its height, as a multiple of the image's.
    - ``flip``: the probability of a mirror image.
    - ``jitter``: the strength s: brightness, contrast and saturation are multiplied by a uniform number from 1 - 0.8 s to 1 + 0.8 s, and hue
      moves by up to 0.2 s turns; with probability ``jitter_p``. SimCLR's is 1 with 0.8.
    - ``grayscale``: the probability that colours go. ``blur``: the probability of a Gaussian blur of 0.1 to 2 pixels at a side of 224, and
      in proportion.
    - ``inner``: transformations from batch to batch.
    - ``seed``: of the draws, which continue from batch to batch; those of ``inner`` are their own.

    Raises InputError on a share, ratio or probability out of range.

    Source: Chen et al., ICML 2020, appendix A; jitter is in the order and in the colour space of `local_color`.

    >>> view = ContrastiveView(crop=(0.6, 1.0), flip=0.5)
    >>> view(torch.rand(2, 1, 14, 14, generator=torch.Generator().manual_seed(0))).shape
    torch.Size([2, 1, 14, 14])
    """

    def __init__(
        self,
        crop: tuple[float, float] = (0.08, 1.0),
        flip: float = 0.0,
        jitter: float = 0.0,
        grayscale: float = 0.0,
        blur: float = 0.0,
        *,
        aspect: tuple[float, float] = (3 / 4, 4 / 3),
        jitter_p: float = 0.8,
        inner: Sequence[nn.Module] = (),
        seed: int = 0,
    ):
        super().__init__()
        for name, (low, high) in {"crop": crop, "aspect": aspect}.items():
            if not 0 < low <= high or not math.isfinite(high) or (name == "crop" and high > 1):
                raise InputError(
                    f"{name} is ({low}, {high}); expected two numbers above 0, the smaller first, crop up to 1"
                )
        for name, value in {"flip": flip, "grayscale": grayscale, "blur": blur, "jitter_p": jitter_p}.items():
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; a probability is from 0 to 1")
        if not 0 <= jitter <= 1.25:
            raise InputError(f"jitter is {jitter}; it must be from 0 to 1.25, where factors reach 0")
        self.crop, self.aspect, self.flip, self.jitter, self.jitter_p = crop, aspect, flip, jitter, jitter_p
        self.grayscale, self.blur, self.seed = grayscale, blur, seed
        self.inner = nn.ModuleList(inner)
        self._generators: dict[torch.device, torch.Generator] = {}

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return one view of each image, of its own type (bytes become numbers from 0 to 1).

        Raises InputError on another rank or type; with jitter or grayscale also on values outside [0, 1] or other than 1 or 3 channels.
        """
        colours = bool(self.jitter or self.grayscale)
        images = floating(images, channels=(1, 3) if colours else ())
        if images.device not in self._generators:
            self._generators[images.device] = torch.Generator(images.device).manual_seed(self.seed)
        g = self._generators[images.device]
        x = warp_images(images, self._crops(images, g))
        for transform in self.inner:
            x = transform(x)
        if self.jitter:
            x = self._jittered(x, g)
        if self.grayscale:
            # Luma of ITU-R BT.601, as Pillow's.
            luma = (
                (x * x.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True) if x.shape[1] == 3 else x
            )
            x = torch.where(_draw(g, x, 1.0) < self.grayscale, luma, x)
        if self.blur:
            x = torch.where(_draw(g, x, 1.0) < self.blur, self._blurred(x, g), x)
        return x

    def _crops(self, images: Tensor, g: torch.Generator) -> Tensor:
        n, _, height, width = images.shape
        low, high = self.crop
        area = low + (high - low) * _draw(g, images, 1.0)
        log_low, log_high = (math.log(a) for a in self.aspect)
        root = (log_low + (log_high - log_low) * _draw(g, images, 1.0)).mul(0.5).exp()
        # A side longer than the image's is cut to it.
        half = torch.cat([area.sqrt() * root, area.sqrt() / root], 1).clamp(max=1)[:, :, 0, 0]  # of width, of height
        place = (2 * torch.rand(n, 2, generator=g, device=images.device, dtype=half.dtype) - 1) * (1 - half)
        mirror = torch.where(_draw(g, images, 1.0)[:, :, 0, 0] < self.flip, -1.0, 1.0)
        rows, columns = (
            (torch.arange(s, device=images.device, dtype=half.dtype) * 2 + 1) / s - 1 for s in (height, width)
        )
        x = place[:, :1] + half[:, :1] * mirror * columns
        y = place[:, 1:] + half[:, 1:] * rows
        return torch.stack([x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], -1)

    def _jittered(self, x: Tensor, g: torch.Generator) -> Tensor:
        on = (_draw(g, x, 1.0) < self.jitter_p).to(x.dtype)
        reach = 0.8 * self.jitter
        # The logarithms that local_color takes; at least 1e-6, for the logarithm of a factor of 0.
        logs = [on * (1 + reach * (2 * _draw(g, x, 1.0) - 1)).clamp_min(1e-6).log() for _ in range(3)]
        hue = on * 0.2 * self.jitter * (2 * _draw(g, x, 1.0) - 1)
        return local_color(x.clamp(0, 1), hue, *logs)

    def _blurred(self, x: Tensor, g: torch.Generator) -> Tensor:
        n, channels, height, width = x.shape
        sigma = _draw(g, x, 1.9).add(0.1) * max(height, width) / 224
        radius = max(1, math.ceil(3 * 2 * max(height, width) / 224))
        radius = min(radius, min(height, width) - 1)
        at = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
        kernel = (-0.5 * (at / sigma.flatten()[:, None]).square()).exp()
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)  # (n c, taps)
        flat = F.pad(x.reshape(1, n * channels, height, width), [radius] * 4, mode="reflect")
        flat = F.conv2d(flat, kernel[:, None, None], groups=n * channels)
        return F.conv2d(flat, kernel[:, None, :, None], groups=n * channels).view_as(x)


def _draw(g: torch.Generator, like: Tensor, high: float) -> Tensor:
    """Return a uniform number from 0 to ``high`` for each image, (n, 1, 1, 1)."""
    return high * torch.rand(len(like), 1, 1, 1, generator=g, device=like.device, dtype=like.dtype)
