"""Labelled points on spheres and tori whose dimension and resolution are known: tasks of graded difficulty."""

import math

import torch

from farfield.errors import InputError
from farfield.tasks.task import Table


def sphere_classes(n: int, m: int, resolution: float, *, seed: int = 0) -> Table:
    """Return n points on the unit sphere S^m in two classes that are at least ``resolution`` apart.

    The classes are bands of the angle to a random direction, in turn; points in the gaps between bands are left out, so
    that the smallest distance of two classes on the whole manifold is ``resolution`` and nothing finer has to be resolved.

    **Arguments:** ``n`` at least 2; ``m``: dimension of the sphere, at least 1; ``resolution``: in units of the radius, above 0
    and at most 0.5.

    **Returns:** `Table` with ``x`` (n, m + 1) float32 of norm 1 and ``y`` (n,) 0 or 1.

    Raises InputError on an argument out of range.

    >>> sphere_classes(5, 2, 0.3).columns["x"].shape
    torch.Size([5, 3])
    """
    _check(n, m, resolution)
    generator = torch.Generator().manual_seed(seed)
    gap = _angle(resolution)
    # A gap is a third of a band, or less.
    band = math.pi / math.floor(math.pi / (3 * gap))
    direction = _normalized(torch.randn(1, m + 1, generator=generator, dtype=torch.float64))
    found, count = [], 0
    while count < n:
        x = _normalized(torch.randn(2 * n, m + 1, generator=generator, dtype=torch.float64))
        angle = (x @ direction[0]).clamp(-1, 1).acos()
        inside = angle % band
        # At the poles there is no neighbouring band, but a gap there does no harm.
        kept = (inside >= gap / 2) & (inside <= band - gap / 2)
        found.append(torch.cat([x, angle[:, None].div(band, rounding_mode="floor") % 2], 1)[kept])
        count += int(kept.sum())
    rows = torch.cat(found)[:n]
    return Table(x=rows[:, :-1].float(), y=rows[:, -1].long())


def torus_classes(n: int, m: int, resolution: float, *, seed: int = 0) -> Table:
    """Return n points on a torus of m angles, each a unit circle, in two classes that are at least ``resolution`` apart.

    The classes are the colours of a chequerboard of the angles, with gaps between its cells: the number of cells grows as
    a power of ``m``, as the difficulty does.

    **Arguments and errors:** as `sphere_classes`.

    **Returns:** `Table` with ``x`` (n, 2 m) float32 of norm sqrt(m), the cosines and sines in pairs, and ``y`` (n,) 0 or 1.

    >>> torus_classes(5, 2, 0.3).columns["x"].shape
    torch.Size([5, 4])
    """
    _check(n, m, resolution)
    generator = torch.Generator().manual_seed(seed)
    gap = _angle(resolution)
    # An even number, so that the colours also alternate where the circle closes.
    cells = 2 * math.floor(math.pi / (3 * gap))
    band = 2 * math.pi / cells
    cell = torch.randint(cells, (n, m), generator=generator)
    angle = cell * band + gap / 2 + (band - gap) * torch.rand(n, m, generator=generator, dtype=torch.float64)
    x = torch.stack([angle.cos(), angle.sin()], 2).flatten(1)
    return Table(x=x.float(), y=cell.sum(1) % 2)


def _check(n: int, m: int, resolution: float) -> None:
    if n < 2 or m < 1:
        raise InputError(f"n is {n} and m is {m}; expected at least 2 points and 1 dimension")
    if not 0 < resolution <= 0.5:
        raise InputError(f"resolution is {resolution}; it must be above 0 and at most 0.5")


def _angle(chord: float) -> float:
    return 2 * math.asin(chord / 2)


def _normalized(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=1, keepdim=True)
