"""Points on a curved surface of known dimension in many columns, with labels that change at a known rate along it."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError


def latent_manifold(
    n: int,
    d: int,
    width: int = 32,
    frequency: float = 1.0,
    margin: float = 0.0,
    out_dim: int = 256,
    *,
    manifold: int = 0,
    seed: int = 0,
) -> tuple[Float[Tensor, "n out_dim"], Int[Tensor, "n"], Float[Tensor, "n d"]]:
    """Return inputs x, labels y of two classes and the latent points z that both are functions of.

    ``z ~ U(-1, 1)^d``, ``x = 0.1 sin(1.5 z A / sqrt(d) + phi) B`` and ``y = 1[sin(frequency pi <z, 1> / sqrt(d)) > 0]``, with A
    (d, width) and B (width, out_dim) / sqrt(width) normal and phi uniform on a circle. The intrinsic dimension of x is d.

    **Arguments:**
    - ``d``: latent dimension, at least 1 and below ``width``, so that no two latent points share an input.
    - ``frequency``: how often the label changes along the diagonal, above 0.
    - ``margin``: points with ``|sin| < margin`` are left out and others drawn in their place, from 0 to 0.95: classes that are
      farther apart, at the same dimension.
    - ``manifold``: seed of A, B and phi, together with d, width and out_dim: training and test points that share a surface take
      the same one.
    - ``seed``: of the points.

    Raises InputError on an argument out of range.

    >>> x, y, z = latent_manifold(100, d=2)
    >>> x.shape, z.shape, sorted(y.unique().tolist())
    (torch.Size([100, 256]), torch.Size([100, 2]), [0, 1])
    """
    for name, value in {"n": n, "d": d, "out_dim": out_dim}.items():
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    if width <= d:
        raise InputError(f"width is {width}; it must be above d, which is {d}")
    if not (frequency > 0 and math.isfinite(frequency)):
        raise InputError(f"frequency is {frequency}; it must be above 0")
    if not 0 <= margin <= 0.95:
        raise InputError(f"margin is {margin}; it must be from 0 to 0.95")
    surface = np.random.default_rng([manifold, d, width, out_dim])
    a, b = surface.normal(size=(d, width)), surface.normal(size=(width, out_dim)) / math.sqrt(width)
    phi = surface.uniform(0, 2 * math.pi, size=width)
    points = np.random.default_rng([seed, 1])
    kept: list[np.ndarray] = []
    while sum(map(len, kept)) < n:
        z = points.uniform(-1, 1, size=(n, d))
        kept.append(z[np.abs(_height(z, frequency)) >= margin])
    z = np.concatenate(kept)[:n]
    x = 0.1 * np.sin(1.5 * z @ a / math.sqrt(d) + phi) @ b
    y = _height(z, frequency) > 0
    return torch.from_numpy(x).float(), torch.from_numpy(y).long(), torch.from_numpy(z).float()


def _height(z: np.ndarray, frequency: float) -> np.ndarray:
    """Return the wave (n,) in [-1, 1] whose sign is the label."""
    return np.sin(frequency * math.pi * z.sum(1) / math.sqrt(z.shape[1]))
