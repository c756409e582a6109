"""Named, seeded, severity-graded transformations of real images: the shifts under which a classifier must hold.

Each has six levels. Level 0 changes nothing, 1 and 2 are mild, 3 to 5 hurt but leave an image that a person can read.
Every random draw (a direction, a place, a noise field) depends on the seed alone and not on the level, so the same seed
at two levels gives the same change, stronger.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.tasks.transforms import background, blur, color, occlude, rescale, rotate, translate

LEVELS = 6


@dataclass(frozen=True)
class Shift:
    """A graded transformation of images.

    **Fields:**
    - ``unit``: what a strength counts; ``strengths``: one for each level.
    - ``says``: what it does, in a sentence; ``source``: where it was published.
    - ``transform``: ``(images, strength, generator) -> images``, unchecked; with ``labelled``, it is
      ``(images, labels, strength, generator) -> (images, labels)``.

    >>> shift("rotation").label(3)
    'rotation 45°'
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    says: str
    source: str
    transform: Callable[..., Any]
    suffix: str = ""
    labelled: bool = False

    def label(self, level: int) -> str:
        """Return the name of this shift at a level of 0 to 5."""
        _check_level(level)
        return f"{self.name} {self.strengths[level]:g}{self.suffix}"

    def apply(self, images: Tensor, level: int, seed: int = 0) -> Tensor:
        """Return the images shifted to a level.

        **Arguments:** ``images`` (n, channels, height, width), float32 in [0, 1]; ``level`` 0 to 5; ``seed`` at least 0.

        Raises InputError where they are not, or where the shift changes labels too (see `apply_labelled`).

        >>> shift("contrast").apply(torch.tensor([[[[0.0, 1.0]]]]), level=1)
        tensor([[[[0.1000, 0.9000]]]])
        """
        if self.labelled:
            raise InputError(
                f"the shift {self.name} changes labels too: call apply_labelled(images, labels, level, seed)"
            )
        _check_images(images)
        _check_level(level)
        if level == 0:
            return images
        return self.transform(images, self.strengths[level], self._generator(seed)).clamp(0, 1)

    def apply_labelled(self, images: Tensor, labels: Tensor, level: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return images and labels shifted to a level; all shifts but color leave the labels as they are.

        **Arguments:** as `apply`, and ``labels`` (n,) int64; color needs them to be 0 or 1.

        >>> shift("color").apply_labelled(torch.ones(1, 1, 2, 2), torch.tensor([1]), level=0)[0].shape
        torch.Size([1, 2, 2, 2])
        """
        if not self.labelled:
            return self.apply(images, level, seed), labels
        _check_images(images)
        _check_level(level)
        if labels.shape != (len(images),) or labels.dtype != torch.int64 or bool(((labels != 0) & (labels != 1)).any()):
            raise InputError(f"labels must be {len(images)} zeros and ones of dtype int64, one for each image")
        return self.transform(images, labels, self.strengths[level], self._generator(seed))

    def _generator(self, seed: int) -> torch.Generator:
        # A hash of name and seed: shifts that share a seed do not share their draws.
        digest = hashlib.sha256(f"{self.name} {seed}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def shift(name: str) -> Shift:
    """Return the shift of this name.

    Raises InputError on an unknown name, with the nearest known ones.

    >>> shift("rotatoin")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown shift 'rotatoin'; nearest: rotation
    """
    if name not in SHIFTS:
        raise unknown_name("shift", name, SHIFTS)
    return SHIFTS[name]


def _random_translation(images: Tensor, distance: float, generator: torch.Generator) -> Tensor:
    angle = 2 * math.pi * torch.rand(len(images), generator=generator)
    return translate(images, distance * angle.cos(), distance * angle.sin())


def _random_occlusion(images: Tensor, side: float, generator: torch.Generator) -> Tensor:
    return occlude(images, side, *torch.rand(2, len(images), generator=generator))


def _noise(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    return images + deviation * torch.randn(images.shape, generator=generator)


def _contrast(images: Tensor, factor: float, generator: torch.Generator) -> Tensor:
    mean = images.mean(dim=(2, 3), keepdim=True)
    return mean + factor * (images - mean)


def _check_images(images: Tensor) -> None:
    if not isinstance(images, Tensor) or images.dtype != torch.float32 or images.ndim != 4 or not images.numel():
        came = f"{tuple(images.shape)} {images.dtype}" if isinstance(images, Tensor) else type(images).__name__
        raise InputError(f"images must be a float32 tensor (n, channels, height, width), not empty; {came} came")
    low, high = (float(v) for v in images.aminmax())
    # Written so that NaN is refused too.
    if not (low >= 0 and high <= 1):
        raise InputError(f"images must lie in [0, 1]; these lie in [{low:g}, {high:g}]")


def _check_level(level: int) -> None:
    if level not in range(LEVELS):
        raise InputError(f"the level is {level!r}; it must be one of 0, 1, 2, 3, 4, 5")


_CORRUPTIONS = "Hendrycks & Dietterich, ICLR 2019"

SHIFTS: dict[str, Shift] = {
    s.name: s
    for s in (
        Shift(
            "rotation",
            "degrees counter-clockwise",
            (0, 15, 30, 45, 60, 75),
            "Images are turned by a fixed angle.",
            "Rotated MNIST: Ghifary et al., ICCV 2015; Gulrajani & Lopez-Paz, ICLR 2021",
            lambda images, degrees, generator: rotate(images, degrees),
            suffix="°",
        ),
        Shift(
            "translation",
            "fraction of the width",
            (0, 0.05, 0.1, 0.15, 0.2, 0.25),
            "Images are moved by a fixed distance in a random direction.",
            "Engstrom et al., ICML 2019",
            _random_translation,
        ),
        Shift(
            "scale",
            "size relative to the original",
            (1, 0.92, 0.84, 0.76, 0.68, 0.6),
            "Images are shrunk about their centre.",
            "Engstrom et al., ICML 2019",
            lambda images, factor, generator: rescale(images, factor),
        ),
        Shift(
            "blur",
            "standard deviation of the Gaussian in fractions of the width",
            (0, 0.025, 0.045, 0.065, 0.08, 0.095),
            "Images are out of focus.",
            _CORRUPTIONS,
            lambda images, sigma, generator: blur(images, sigma),
        ),
        Shift(
            "noise",
            "standard deviation, of a range of 1",
            (0, 0.06, 0.12, 0.2, 0.3, 0.4),
            "Gaussian noise is added to every pixel.",
            _CORRUPTIONS,
            _noise,
        ),
        Shift(
            "contrast",
            "contrast relative to the original",
            (1, 0.8, 0.6, 0.4, 0.25, 0.15),
            "Pixels move towards the mean of their image.",
            _CORRUPTIONS,
            _contrast,
        ),
        Shift(
            "occlusion",
            "side of the square in fractions of the image",
            (0, 0.15, 0.25, 0.35, 0.45, 0.55),
            "A grey square covers a random part of each image.",
            "Cutout as a corruption: DeVries & Taylor, 2017",
            _random_occlusion,
        ),
        Shift(
            "background",
            "weight of the photograph",
            (0, 0.15, 0.3, 0.45, 0.7, 1),
            "The difference of the image from a random patch of a photograph takes its place.",
            "MNIST-M: Ganin et al., JMLR 2016, with the two sample photographs of scikit-learn",
            background,
        ),
        Shift(
            "color",
            "probability that the colour contradicts the label",
            (0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
            "Colour goes with the label in training, and less and less so, then against it, further away.",
            "Colored MNIST: Arjovsky et al., 2019; training environments are levels 0 and 1, the test is level 5",
            color,
            labelled=True,
        ),
    )
}
