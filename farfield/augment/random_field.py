"""Gaussian random fields: numbers that vary smoothly, and by chance, from pixel to pixel."""

import functools
import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from farfield.errors import InputError, unknown_name

Kernel = Literal["power", "rbf", "band", "grid"]
KERNELS: tuple[str, ...] = get_args(Kernel)
NORMALISE = ("sample", "expected")


def gaussian_random_field(
    shape: Sequence[int],
    gamma: float = 4.0,
    normalise: Literal["sample", "expected"] = "sample",
    periodic: bool = True,
    kernel: Kernel = "power",
    length: float | None = None,
    generator: torch.Generator | None = None,
    device: str | torch.device | None = None,
) -> Float[Tensor, "n channels height width"]:
    """Return independent Gaussian random fields of mean zero and variance one over the pixels, float32.

    White noise with the spectrum of a kernel; |k| is in cycles per image, and k = 0 has no power, so the mean over the
    pixels of every field is zero. Kernels:

    - "power": power ``P(k) = |k|^-gamma``. 0 is white noise, 2 to 6 are useful; from about 40 on only waves of one cycle
      per image are left.
    - "rbf": the correlation at distance r is ``exp(-r^2 / (2 length^2))`` (a displacement of this kind is an elastic
      transformation: Simard et al., 2003).
    - "band": the same power at every |k| up to ``1 / length``, and none beyond.
    - "grid": white noise on a coarse grid with a point every ``length``, between which it is bicubic.

    **Arguments:**
    - ``shape``: (n, channels, height, width), of at least two pixels. A height of 1 makes sequences.
    - ``normalise``: "sample": each field has mean 0 and standard deviation 1 over its pixels. "expected": variances over the
      pixels are 1 on average, and fluctuate, the more so the fewer waves there are (steep spectra, small images).
    - ``periodic``: opposite borders then are neighbours. False draws a field of twice the sides and keeps a quarter of it.
    - ``length``: of the kernels other than "power", as a share of the image's side, above 0 and at most 1.
    - ``generator``: of the draws, on ``device``; None is a new one of seed 0, so every call gives the same fields.

    Raises InputError on an argument out of range.

    Source: Mansfield et al., arXiv 2311.03629, whose fields are Gaussian with a power spectrum and independent of each other; the family
    of spectra is ours, as it could not be read.

    >>> field = gaussian_random_field((2, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    >>> field.mean((2, 3)).abs().max() < 1e-6, field.square().mean((2, 3)).round(decimals=3)[0]
    (tensor(True), tensor([1., 1., 1.]))
    """
    n, channels, height, width = check_shape(shape)
    check_kernel(kernel, gamma, length)
    if normalise not in NORMALISE:
        raise unknown_name("normalise", normalise, NORMALISE)
    sides = (height, width) if periodic else (2 * height if height > 1 else 1, 2 * width if width > 1 else 1)
    scale = 1.0 if periodic else 2.0
    device = torch.device(device or "cpu")
    generator = generator or torch.Generator(device).manual_seed(0)
    if kernel == "grid":
        field, expected = _from_grid(n * channels, sides, length / scale, generator, device)
    else:
        field, expected = _from_waves(n * channels, sides, kernel, gamma, length, scale, generator, device)
    if not periodic:
        field = field[:, :height, :width]
        field = field - field.mean((1, 2), keepdim=True)
        expected = None
    if normalise == "sample":
        variance = field.square().mean((1, 2), keepdim=True)
        field = field * variance.clamp_min(torch.finfo(field.dtype).tiny).rsqrt()
    else:
        if expected is None:
            expected = _expected_in_crop(height, width, sides, kernel, gamma, length, scale)
        field = field * expected**-0.5
    return field.reshape(n, channels, height, width)


def check_shape(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Return a shape as four whole numbers. Raises InputError where it is none, or has one pixel only.

    >>> check_shape((1, 2, 3, 4))
    (1, 2, 3, 4)
    """
    found = tuple(int(s) for s in shape)
    if len(found) != 4 or min(found) < 1 or found[2] * found[3] < 2:
        raise InputError(f"shape is {found}; expected (n, channels, height, width) with at least two pixels")
    return found  # type: ignore[return-value]


def check_kernel(kernel: str, gamma: float, length: float | None) -> None:
    """Raise InputError on a kernel that there is not, or settings that it does not take.

    >>> check_kernel("rbf", 4.0, None)
    Traceback (most recent call last):
    farfield.errors.InputError: the kernel rbf needs a length: a share of the image's side, above 0 and at most 1
    """
    if kernel not in KERNELS:
        raise unknown_name("kernel", kernel, KERNELS)
    if not (gamma >= 0 and math.isfinite(gamma)):
        raise InputError(f"gamma is {gamma}; it must be at least 0 and finite")
    if kernel == "power" and length is not None:
        raise InputError(f"length is {length}; the kernel power takes none, its smoothness is gamma")
    if kernel != "power" and length is None:
        raise InputError(f"the kernel {kernel} needs a length: a share of the image's side, above 0 and at most 1")
    if length is not None and not 0 < length <= 1:
        raise InputError(f"length is {length}; it must be a share of the image's side, above 0 and at most 1")


@functools.lru_cache(maxsize=32)
def _amplitude(
    height: int, width: int, kernel: str, gamma: float, length: float | None, scale: float, device: torch.device
) -> Tensor:
    """Return A(k) of the half plane that a real transform keeps; standard normal real and imaginary parts times it make fields of
    variance 1 on average."""
    power = _power(height, width, kernel, gamma, length, scale)
    half = power[:, : width // 2 + 1].clone()
    # In the columns that hold both k and -k only half the variance of independent draws is left after the real part is taken.
    half[:, 0] *= 2
    if width % 2 == 0:
        half[:, width // 2] *= 2
    amplitude = (half / (2 * power.sum())).sqrt()
    return amplitude.to(device, torch.float32)


def _power(height: int, width: int, kernel: str, gamma: float, length: float | None, scale: float) -> Tensor:
    """Return P(k), (height, width) float64, for sides that are ``scale`` images long; the largest is 1, k = 0 has none."""
    ky, kx = (torch.fft.fftfreq(side, 1 / side, dtype=torch.float64) for side in (height, width))
    k = (ky[:, None].square() + kx.square()).sqrt()
    if kernel == "power":
        log = -gamma * k.log()
    elif kernel == "rbf":
        log = -2 * (math.pi * length * k / scale).square()
    else:
        log = torch.where(k / scale <= 1 / length, 0.0, -torch.inf).double()
    log[0, 0] = -torch.inf
    # Relative to the largest, so that no exponent underflows everywhere.
    return (log - log.max()).exp()


def _from_waves(
    n: int,
    sides: tuple[int, int],
    kernel: str,
    gamma: float,
    length: float | None,
    scale: float,
    generator: torch.Generator,
    device: torch.device,
) -> tuple[Tensor, float]:
    """Return (n, height, width) fields as drawn, and their variance over the pixels on average."""
    height, width = sides
    amplitude = _amplitude(height, width, kernel, float(gamma), length, scale, device)
    # Drawn as a spectrum at once: that is what the transform of white noise is.
    noise = torch.randn(n, height, width // 2 + 1, 2, generator=generator, device=device)
    spectrum = torch.view_as_complex(noise).mul_(amplitude)
    return torch.fft.irfft2(spectrum, s=sides, norm="forward"), 1.0


@functools.lru_cache(maxsize=32)
def _upsampling(side: int, points: int, device: torch.device) -> Tensor:
    """Return the matrix (side, points) of periodic bicubic interpolation from a coarse grid."""
    if side == 1:
        return torch.ones(1, 1, device=device)
    # Three copies side by side make the middle one periodic.
    eye = torch.eye(points).repeat(1, 3)[:, None]  # (points, 1, 3 points)
    middle = F.interpolate(eye[:, :, None], size=(1, 3 * side), mode="bicubic", align_corners=False)
    return middle[:, 0, 0, side : 2 * side].T.contiguous().to(device)


def _from_grid(
    n: int, sides: tuple[int, int], length: float, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, float]:
    """Return (n, height, width) fields as drawn, and their variance over the pixels on average."""
    # At most a point a pixel, and at least two on one of the sides, or nothing would vary.
    points = [min(side, max(1 if side == 1 else 2, round(1 / length))) for side in sides]
    rows, columns = (_upsampling(side, p, device) for side, p in zip(sides, points))
    noise = torch.randn(n, *points, generator=generator, device=device)
    field = rows @ noise @ columns.T
    field = field - field.mean((1, 2), keepdim=True)
    pixels = sides[0] * sides[1]
    total = rows.double().square().sum() * columns.double().square().sum()
    of_mean = rows.double().sum(0).square().sum() * columns.double().sum(0).square().sum() / pixels
    return field, float((total - of_mean) / pixels)


def _expected_in_crop(
    height: int, width: int, sides: tuple[int, int], kernel: str, gamma: float, length: float | None, scale: float
) -> float:
    """Return the expected variance, over a quarter of a field of variance 1 (of the kernel grid: as drawn), about that quarter's mean."""
    if kernel == "grid":
        points = [min(side, max(1 if side == 1 else 2, round(scale / length))) for side in sides]
        rows, columns = (_upsampling(s, p, torch.device("cpu")).double() for s, p in zip(sides, points))
        pixels = height * width
        # What is subtracted of the whole field's mean vanishes when the quarter's own mean is.
        rows, columns = rows[:height], columns[:width]
        total = rows.square().sum() * columns.square().sum()
        return float((total - rows.sum(0).square().sum() * columns.sum(0).square().sum() / pixels) / pixels)
    power = _power(*sides, kernel, gamma, length, scale)
    covariance = torch.fft.ifft2(power / power.sum(), norm="forward").real  # 1 at distance 0

    def pairs(side: int, whole: int) -> Tensor:
        # How many pairs of pixels of the quarter lie at each distance on the torus.
        at = torch.zeros(whole, dtype=torch.float64)
        for d in range(-side + 1, side):
            at[d % whole] += side - abs(d)
        return at / side**2

    weights = pairs(height, sides[0])[:, None] * pairs(width, sides[1])
    return float(1 - (weights * covariance).sum())
