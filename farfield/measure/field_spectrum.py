"""How smooth a field of numbers over an image is: its power by spatial frequency, and how far it is correlated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor

if TYPE_CHECKING:
    from jaxtyping import Float

CHUNK = 4_000_000  # numbers transformed at once


@dataclass(frozen=True)
class FieldSpectrum:
    """Power by spatial frequency.

    **Fields:** ``k`` (m,): mean |k| of the waves in each ring, in cycles per image; ``power`` (m,): the mean power of a wave in it, so that
    the powers of all waves add up to the variance; ``waves`` (m,): how many there are.
    """

    k: Array
    power: Array
    waves: Array

    def slope(self, low: float = 2.0, high: float = float("inf")) -> float:
        """Return the slope of log power against log k for ``low <= k <= high``: -gamma for the power law ``k^-gamma``.

        Raises InputError where fewer than two rings with power lie there.

        >>> round(FieldSpectrum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.25, 0.0625]), torch.ones(3)).slope(1), 6)
        -2.0
        """
        k, power = torch.as_tensor(self.k), torch.as_tensor(self.power)
        kept = (k >= low) & (k <= high) & (power > 0)
        if int(kept.sum()) < 2:
            raise InputError(f"{int(kept.sum())} rings with power lie from k = {low:g} to {high:g}; a slope needs two")
        x, y = k[kept].double().log(), power[kept].double().log()
        x = x - x.mean()
        return float((x * y).sum() / x.square().sum())


def field_spectrum(f: Float[Array, "*n h w"]) -> FieldSpectrum:
    """Return the power spectrum of fields, averaged over fields and over directions.

    Rings are one cycle per image wide, around 1, 2, ... up to half the longer side: beyond it not every direction has waves. The mean of
    each field (k = 0) is left out. Constant fields have power 0 everywhere. A field that is not periodic has a slope of -2 of its own
    from the jump at its borders.

    **Arguments:** ``f`` (..., h, w), any number of fields; a height of 1 makes sequences.

    Raises InputError on a value that is not finite, fewer than two dimensions, or fields without a wave (below 2 pixels).

    >>> wave = torch.cos(2 * torch.pi * 3 * torch.arange(16) / 16)
    >>> found = field_spectrum(wave.expand(16, 16))
    >>> int(found.power.argmax()) + 1, round(float((found.power * found.waves).sum()), 6)  # cycles per image, variance
    (3, 0.5)
    """
    fields = _fields(f)
    height, width = fields.shape[1:]
    ky, kx = (torch.fft.fftfreq(s, 1 / s, dtype=torch.float64, device=fields.device) for s in (height, width))
    k = (ky[:, None].square() + kx.square()).sqrt()
    power = sum(torch.fft.fft2(part).abs().square().sum(0) for part in _parts(fields)) / len(fields) / k.numel() ** 2
    ring = (k + 0.5).floor().long().flatten()
    last = max(height, width) // 2
    kept = (ring >= 1) & (ring <= last)
    ring, k, power = ring[kept] - 1, k.flatten()[kept], power.flatten()[kept]
    waves = torch.zeros(last, dtype=torch.float64, device=fields.device).index_add_(0, ring, torch.ones_like(k))
    sums = [torch.zeros_like(waves).index_add_(0, ring, values) / waves.clamp_min(1) for values in (k, power)]
    full = waves > 0
    return FieldSpectrum(*(like(values[full], f) for values in (*sums, waves)))


def field_correlation_length(f: Float[Array, "*n h w"]) -> float:
    """Return the distance in pixels at which fields are correlated by 1/e with themselves: how far a bump reaches.

    The correlation is that of pixels at a distance on the torus, less each field's mean, averaged over fields and, in rings one pixel wide, over
    directions; between rings it is interpolated linearly. White noise has about 0.76 (0.63 in sequences), a field with the correlation
    ``exp(-r^2 / (2 l^2))`` has ``sqrt(2) l``. As the correlations of a field add up to 0, one below 1/e is always there.

    **Arguments:** ``f`` (..., h, w), any number of fields.

    Raises InputError as `field_spectrum`, and where all fields are constant.

    >>> wave = torch.cos(2 * torch.pi * torch.arange(100) / 100)[None]  # correlated by cos(2 pi r / 100)
    >>> round(field_correlation_length(wave), 1)  # arccos(1 / e) / (2 pi) * 100 = 19.0
    19.0
    """
    fields = _fields(f)
    fields = fields - fields.mean((1, 2), keepdim=True)
    height, width = fields.shape[1:]
    power = sum(torch.fft.fft2(part).abs().square().sum(0) for part in _parts(fields))
    covariance = torch.fft.ifft2(power).real
    scale = float(fields.square().sum())
    if not scale > 0 or float(covariance[0, 0]) < 1e-24 * len(fields):
        raise InputError("f holds constant fields alone; they have no correlation length")
    dy, dx = (torch.arange(s, device=fields.device, dtype=torch.float64) for s in (height, width))
    dy, dx = torch.minimum(dy, height - dy), torch.minimum(dx, width - dx)
    distance = (dy[:, None].square() + dx.square()).sqrt().flatten()
    ring = distance.round().long()
    count = torch.zeros(int(ring.max()) + 1, dtype=torch.float64, device=fields.device)
    count.index_add_(0, ring, torch.ones_like(distance))
    at, value = (
        torch.zeros_like(count).index_add_(0, ring, values)[count > 0] / count[count > 0]
        for values in (distance, (covariance / covariance[0, 0]).flatten())
    )
    level = float(torch.exp(torch.tensor(-1.0, dtype=torch.float64)))
    i = int((value <= level).int().argmax())
    before, after = float(value[i - 1]), float(value[i])
    return float(at[i - 1] + (at[i] - at[i - 1]) * (before - level) / (before - after))


def _fields(f: Array) -> Tensor:
    values = tensor(f, "f", dims=None)
    if values.ndim < 2 or values.shape[-1] * values.shape[-2] < 2:
        raise InputError(f"f has shape {tuple(values.shape)}; expected (..., height, width) of at least two pixels")
    return values.reshape(-1, *values.shape[-2:])


def _parts(fields: Tensor) -> tuple[Tensor, ...]:
    return fields.split(max(1, CHUNK // fields[0].numel()))
