"""Eight sets of small grey images, eight classes each, from plain shapes to shapes in clutter: a ladder of visual complexity."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from farfield.errors import InputError, unknown_name
from farfield.tasks.task import Table

SIZE, CLASSES = 28, 8
SHAPES = ("disc", "square", "triangle", "plus", "ring", "diamond", "bar", "x")
DIGITS = ("mnist", "digits")
LADDER = ("fixed", "jittered", "mnist", "digits", "gradient", "clouds", "texture", "clutter")
PIECES = 60


def complexity_ladder(seed: int = 0, *, rows: int = 3200, only: Sequence[str] = LADDER) -> dict[str, Table]:
    """Return sets of images by name: ``x`` (n, 1, 28, 28) float32 in [0, 1] and ``y`` 0 to 7, in random order.

    - "fixed": a white shape (disc, square, triangle, plus, ring, diamond, bar, x) on black, always the same;
    - "jittered": at a random place and size;
    - "mnist": its digits 0 to 7; "digits": those of scikit-learn, 8x8 enlarged, of which there are 1,438;
    - "gradient": the jittered shapes on a linear gradient of random direction; "clouds": on a 1/f field;
    - "texture": 1/f fields inside and outside, the inside lighter on average; "clutter": bright, among dimmer small shapes.

    Sets are drawn independently of each other: leaving some out does not change the others.

    **Arguments:** ``seed`` of all draws; ``rows`` of each set, at least 16 (fewer where a real set has fewer), classes equally often in the generated
    ones; ``only``: names of `LADDER`.

    Raises InputError on an unknown name and too few rows, and where MNIST cannot be had.

    >>> sets = complexity_ladder(rows=16, only=["fixed", "clutter"])
    >>> {name: (tuple(table.columns["x"].shape), len(table.columns["y"].unique())) for name, table in sets.items()}
    {'fixed': ((16, 1, 28, 28), 8), 'clutter': ((16, 1, 28, 28), 8)}
    """
    for name in only:
        if name not in LADDER:
            raise unknown_name("set of the complexity ladder", name, LADDER)
    if rows < 2 * CLASSES:
        raise InputError(f"rows is {rows}; it must be at least {2 * CLASSES}")
    found = {}
    for name in only:
        generator = torch.Generator().manual_seed(1000 * seed + LADDER.index(name))
        found[name] = _real(name, rows, generator) if name in DIGITS else _drawn(name, rows, generator)
    return found


def _real(name: str, rows: int, generator: torch.Generator) -> Table:
    from farfield.tasks.sources import load_source

    source = load_source(name)
    wanted = torch.from_numpy(np.flatnonzero(source.labels < CLASSES))
    chosen = wanted[torch.randperm(len(wanted), generator=generator)[:rows]]
    images = source.images[chosen]
    x = images.float() / 255 if images.dtype == torch.uint8 else images
    if x.shape[-1] != SIZE:
        x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    return Table(x=x.clamp(0, 1), y=torch.from_numpy(source.labels)[chosen])


def _drawn(name: str, n: int, generator: torch.Generator) -> Table:
    y = torch.arange(n)[torch.randperm(n, generator=generator)] % CLASSES
    if name == "fixed":
        radius, centre = torch.full((n,), 0.65), torch.zeros(n, 2)
    else:
        radius, centre = _places(n, 0.45, 0.7, generator)
    ink = draw_shapes(y, radius, centre)
    if name in ("fixed", "jittered"):
        return Table(x=ink, y=y)
    if name == "gradient":
        angle = 2 * torch.pi * torch.rand(n, 1, 1, 1, generator=generator)
        ground = 0.3 + 0.2 * (angle.cos() * _along() + angle.sin() * _along().T)
        x = ground + ink * 0.4
    elif name == "clouds":
        x = torch.where(ink > 0.5, 0.9, 0.4 + 0.17 * _field(n, generator))
    elif name == "texture":
        x = torch.where(ink > 0.5, 0.65 + 0.15 * _field(n, generator), 0.35 + 0.15 * _field(n, generator))
    else:
        x = torch.maximum(_clutter(n, generator), ink)
    return Table(x=x.clamp(0, 1).contiguous(), y=y)


def _places(n: int, low: float, high: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return random radii in units of half the image, and centres that keep a shape inside."""
    radius = low + (high - low) * torch.rand(n, generator=generator)
    return radius, (2 * torch.rand(n, 2, generator=generator) - 1) * (1 - radius)[:, None]


def _clutter(n: int, generator: torch.Generator) -> Tensor:
    """Return many small shapes of all kinds, each of its own grey, dimmer than the shape that counts."""
    ground = torch.zeros(n, 1, SIZE, SIZE)
    for _ in range(PIECES):
        kind = torch.randint(CLASSES, (n,), generator=generator)
        radius = 0.12 + 0.14 * torch.rand(n, generator=generator)
        centre = 2 * torch.rand(n, 2, generator=generator) - 1
        grey = 0.1 + 0.5 * torch.rand(n, 1, 1, 1, generator=generator)
        piece = draw_shapes(kind, radius, centre)
        ground = torch.where(piece > 0.5, grey, ground)
    return ground


def _field(n: int, generator: torch.Generator) -> Tensor:
    from farfield.augment.random_field import gaussian_random_field

    # A spectrum of 1/f in amplitude is 1/f^2 in power.
    return gaussian_random_field((n, 1, SIZE, SIZE), 2.0, generator=generator)


def _along() -> Tensor:
    return ((2 * torch.arange(SIZE) + 1) / SIZE - 1)[None, :].expand(SIZE, SIZE)


def draw_shapes(kind: Tensor, radius: Tensor, centre: Tensor, *, size: int = SIZE) -> Tensor:
    """Return one shape per image, 1 on 0: (n, 1, size, size) float32.

    **Arguments:** ``kind``: (n,) integers, places in `SHAPES`; ``radius``: (n,) and ``centre``: (n, 2), across and down, in units of half the image from
    its middle.

    >>> one = draw_shapes(torch.tensor([1]), torch.tensor([1.0]), torch.zeros(1, 2), size=10)
    >>> int(one.sum())  # a square of 0.8 of the image's side
    64
    """
    along = (2 * torch.arange(size) + 1) / size - 1
    u = (along[None, None, :] - centre[:, 0, None, None]) / radius[:, None, None]  # (n, 1, size), across
    v = (along[None, :, None] - centre[:, 1, None, None]) / radius[:, None, None]  # (n, size, 1), down
    far, a, b = u.square() + v.square(), u.abs(), v.abs()
    inside = torch.stack(
        [
            far <= 0.81,
            (a <= 0.8) & (b <= 0.8),
            (v <= 0.8) & (v >= 2 * a - 0.9),
            ((a <= 0.28) | (b <= 0.28)) & (a <= 0.95) & (b <= 0.95),
            (far <= 0.9) & (far >= 0.3),
            a + b <= 0.95,
            (a <= 0.95) & (b <= 0.3),
            (((u - v).abs() <= 0.4) | ((u + v).abs() <= 0.4)) & (a <= 0.9) & (b <= 0.9),
        ],
        1,
    )  # (n, 8, size, size)
    return inside[torch.arange(len(kind)), kind][:, None].float()
