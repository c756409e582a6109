"""Vectors of which every coordinate alone tells the class, but needs another number of linear pieces to do so."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.tasks.task import Table

Block = Literal["linear", "noise", 3, 5, 7]

# Of each class, the share of its points in the slabs 0 (the centre), 1, 2, 3; even slabs are class 0, odd ones class 1.
SHARES = {
    3: ((1.0, 0.0), (0.0, 1.0)),
    5: ((0.75, 0.0, 0.25), (0.0, 1.0, 0.0)),
    7: ((0.5, 0.0, 0.5, 0.0), (0.0, 0.875, 0.0, 0.125)),
}


class SlabBlocks:
    """Two classes whose coordinates ("blocks") are independent given the class, and differ in how simple they are.

    Every block but "noise" tells the two classes apart without an error; the number of linear pieces that a classifier on it
    needs is how simple it is. With the width B and g = margin x B:

    - ``"linear"`` (2 regions): from g to B for class 1, from -B to -g for class 0;
    - ``3``, ``5``, ``7`` slabs (3, 5, 7 regions): intervals of width (2B - 2(k-1)g) / k with gaps of 2g from -B to B, the centre is of
      class 0 and its neighbours alternate; mirrored values are equally likely. The correlation with the class is 0, and one
      threshold is right for 75, 68.75 and 62.5 % of the points;
    - ``"noise"``: normal with standard deviation B, says nothing.

    **Arguments:**
    - ``n``: rows, at least 1; classes are drawn alike for each.
    - ``blocks``: one kind for each coordinate.
    - ``margin``: share of the width, above 0 and below 1 / (k - 1) of the most slabs; ``width``: B, above 0.
    - ``p_noise``: share of all rows, round(n x p_noise) of them, whose linear blocks tell nothing (drawn anew for each linear
      block), so that the best classifier on it is right in 1 - p_noise / 2 with "margin"; ``noise``: "margin" draws them uniformly
      from -g to g, "flip" turns their sign, which leaves 1 - p_noise.
    - ``rotate``: multiply by a random orthogonal matrix, so that no coordinate of ``x`` is a block.
    - ``seed``: of all draws.

    **Fields:** ``x`` (n, d) float32, ``y`` (n,) int64, ``blocks``; ``rotation`` (d, d) float32, orthogonal: blocks are
    ``x @ rotation.T``; it is the identity where nothing was rotated. ``noised`` (n,) bool: rows with a linear block of noise.

    Raises InputError on an argument out of range, an unknown kind of block, or noise without a linear block.

    Source: Shah et al., NeurIPS 2020, section 3 and its released generator; "noise" is from memory of its theorem.

    >>> data = SlabBlocks(1000, ["linear", 5, 5], seed=0)
    >>> linear, slab, _ = (data.x @ data.rotation.T).T
    >>> bool(((linear > 0) == (data.y == 1)).all()), bool((slab[data.y == 1].abs() < 0.57).all()), data.groups()
    (True, True, {'linear': [0], '5-slab': [1, 2]})
    """

    def __init__(
        self,
        n: int,
        blocks: Sequence[Block],
        *,
        margin: float = 0.1,
        width: float = 1.0,
        p_noise: float = 0.0,
        noise: Literal["margin", "flip"] = "margin",
        rotate: bool = True,
        seed: int = 0,
    ):
        _check(n, blocks, margin, width, p_noise, noise)
        self.blocks = tuple(blocks)
        generator = torch.Generator().manual_seed(seed)
        self.y = torch.randint(2, (n,), generator=generator)
        self.noised = torch.zeros(n, dtype=torch.bool)
        gap = margin * width
        values = torch.empty(n, len(blocks), dtype=torch.float64)
        for kind in dict.fromkeys(self.blocks):
            at = [i for i, block in enumerate(self.blocks) if block == kind]
            u = torch.rand(n, len(at), generator=generator, dtype=torch.float64)
            if kind == "noise":
                values[:, at] = width * torch.randn(n, len(at), generator=generator, dtype=torch.float64)
            elif kind == "linear":
                values[:, at] = (2 * self.y[:, None] - 1) * (gap + (width - gap) * u)
            else:
                values[:, at] = _slabs(int(kind), self.y, u, gap, width, generator)
        for i, block in enumerate(self.blocks):
            if block == "linear" and p_noise:
                rows = torch.randperm(n, generator=generator)[: round(n * p_noise)]
                within = gap * (2 * torch.rand(len(rows), generator=generator, dtype=torch.float64) - 1)
                values[rows, i] = within if noise == "margin" else -values[rows, i]
                self.noised[rows] = True
        rotation = _orthogonal(len(blocks), generator) if rotate else torch.eye(len(blocks), dtype=torch.float64)
        self.x, self.rotation = (values @ rotation).float(), rotation.float()

    def __len__(self) -> int:
        return len(self.y)

    def coordinates(self) -> Tensor:
        """Return the values (n, d) of the blocks, before the rotation.

        >>> SlabBlocks(5, ["linear", 3], rotate=False).coordinates().shape
        torch.Size([5, 2])
        """
        return self.x @ self.rotation.T

    def groups(self) -> dict[str, list[int]]:
        """Return kind of block -> its coordinates, as `farfield.measure.feature_reliance` takes them, the simplest first."""
        order = ("linear", 3, 5, 7, "noise")
        found = {kind: [i for i, block in enumerate(self.blocks) if block == kind] for kind in order}
        return {kind if isinstance(kind, str) else f"{kind}-slab": at for kind, at in found.items() if at}

    def table(self) -> Table:
        """Return x and y as a split to train on."""
        return Table(x=self.x, y=self.y)


def lms(
    k: Literal[3, 5, 7] = 5,
    d: int = 50,
    *,
    n: int = 100_000,
    p_noise: float = 0.0,
    rotate: bool = True,
    seed: int = 0,
) -> SlabBlocks:
    """Return LMS-k: one linear block and d - 1 blocks of k slabs; with ``p_noise=0.1`` and k = 7 the paper's noisy LMS-7.

    **Arguments:** ``d``: at least 2; the others as in `SlabBlocks`.

    Raises InputError as `SlabBlocks` does, and on a d below 2.

    Source: Shah et al., NeurIPS 2020, section 3.

    >>> lms(5, 4, n=10).blocks
    ('linear', 5, 5, 5)
    """
    return SlabBlocks(n, ["linear", *_others(k, d)], p_noise=p_noise, rotate=rotate, seed=seed)


def ms(
    first: Literal[3, 5, 7] = 5,
    others: Literal[3, 5, 7] = 7,
    d: int = 50,
    *,
    n: int = 100_000,
    rotate: bool = True,
    seed: int = 0,
) -> SlabBlocks:
    """Return MS-(first, others): one block of slabs and d - 1 of another number; ``ms(7, 7)`` is the paper's MS-7.

    **Arguments:** ``d``: at least 2; the others as in `SlabBlocks`.

    Raises InputError as `SlabBlocks` does, and on a d below 2.

    Source: Shah et al., NeurIPS 2020, sections 3 and 5.

    >>> ms(5, 7, 3, n=10).groups()
    {'5-slab': [0], '7-slab': [1, 2]}
    """
    return SlabBlocks(n, [first, *_others(others, d)], rotate=rotate, seed=seed)


def lsn(d: int = 50, *, n: int = 100_000, rotate: bool = False, seed: int = 0) -> SlabBlocks:
    """Return LSN: a linear block, one of 3 slabs, and d - 2 of noise, the data of the paper's theorem.

    **Arguments:** ``d``: at least 2; the others as in `SlabBlocks`.

    Raises InputError as `SlabBlocks` does, and on a d below 2.

    Source: Shah et al., NeurIPS 2020, theorem 1; what its noise is drawn from is from memory.

    >>> lsn(4, n=10).blocks
    ('linear', 3, 'noise', 'noise')
    """
    if d < 2:
        raise InputError(f"d is {d}; LSN has at least the 2 blocks that tell the class")
    return SlabBlocks(n, ["linear", 3, *["noise"] * (d - 2)], rotate=rotate, seed=seed)


def _others(kind: int, d: int) -> list[int]:
    if d < 2:
        raise InputError(f"d is {d}; it must be at least 2: one block and at least one of another kind")
    return [kind] * (d - 1)


def _slabs(k: int, y: Tensor, u: Tensor, gap: float, width: float, generator: torch.Generator) -> Tensor:
    """Return values (n, m) of m blocks of k slabs, at the places u in [0, 1) of their slabs."""
    slab_width = (2 * width - 2 * (k - 1) * gap) / k
    ends = torch.tensor(SHARES[k], dtype=torch.float64).cumsum(1)[y]  # (n, slabs)
    draw = torch.rand(u.shape, generator=generator, dtype=torch.float64)
    c = (draw[..., None] >= ends[:, None, :]).sum(-1)  # (n, m): the slab
    sign = 2 * torch.randint(2, u.shape, generator=generator) - 1
    inner = torch.where(c == 0, 0.0, (c - 0.5) * slab_width + 2 * gap * c)
    return sign * (inner + torch.where(c == 0, 0.5, 1.0) * slab_width * u)


def _orthogonal(d: int, generator: torch.Generator) -> Tensor:
    q, r = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64))
    # Uniform among all orthogonal matrices: the signs that a QR factorisation leaves open must not be the algorithm's.
    return q * r.diagonal().sign()


def _check(n: int, blocks: Sequence[Block], margin: float, width: float, p_noise: float, noise: str) -> None:
    if n < 1 or not len(blocks):
        raise InputError(f"n is {n} and there are {len(blocks)} blocks; both must be at least 1")
    unknown = [b for b in blocks if b not in ("linear", "noise", *SHARES)]
    if unknown:
        raise InputError(f"blocks holds {unknown[0]!r}; a block is 'linear', 3, 5, 7 (slabs) or 'noise'")
    # Of k slabs and their gaps, something must be left for the slabs.
    most = max([2, *(b for b in blocks if not isinstance(b, str))])
    if not 0 < margin < 1 / (most - 1):
        raise InputError(f"margin is {margin}; for these blocks it must be above 0 and below {1 / (most - 1):g}")
    if not width > 0 or not 0 <= p_noise <= 1 or noise not in ("margin", "flip"):
        raise InputError(
            f"width is {width}, p_noise {p_noise}, noise {noise!r}; expected a width above 0, p_noise from 0 to 1, and "
            "noise 'margin' or 'flip'"
        )
    if p_noise and "linear" not in blocks:
        raise InputError(f"p_noise is {p_noise}, but no block is linear: noise is for linear blocks")
