"""MNIST's digits in a colour drawn by chance: an easy feature and a hard one in real images."""

from collections.abc import Sequence
from typing import Literal

import torch

from farfield.errors import InputError
from farfield.tasks.labelled_features import LabelledFeatures
from farfield.tasks.task import Table

TEST = 2000
INK = torch.tensor([[1.0, 0.15, 0.15], [0.15, 1.0, 0.15]])


class ColouredDigits(LabelledFeatures):
    """MNIST digits (3, size, size) in red or green, drawn by chance for each: features ``"colour"`` and ``"parity"``.

    Labels are 0 or 1: green, and an odd digit. Colours are balanced within each digit, so the two features are independent;
    49 % of the digits are even.

    **Arguments:** ``split``: ``"train"`` (8,000 of MNIST's 10,000 test images) or ``"test"`` (the other 2,000); ``size``: side in
    pixels, from 4 to 28, reduced by area; ``seed``: of the split
    and of the colours; both splits of a seed are disjoint.

    Raises InputError on another split or size, or where MNIST cannot be had.

    Source: the data are MNIST's; a real case in the manner of Lampinen, Chan, Hermann, TMLR 2024.

    >>> ColouredDigits("validation")
    Traceback (most recent call last):
    farfield.errors.InputError: split is 'validation'; it must be 'train' or 'test'
    """

    def __init__(self, split: Literal["train", "test"], size: int = 28, *, seed: int = 0):
        from farfield.tasks.sources import area_average, load_source

        if split not in ("train", "test"):
            raise InputError(f"split is {split!r}; it must be 'train' or 'test'")
        if not 4 <= size <= 28:
            raise InputError(f"size is {size}; MNIST's digits have sides of 28, and are reduced to 4 at least")
        source = load_source("mnist")
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(source.images), generator=generator)
        rows = order[:TEST] if split == "test" else order[TEST:]
        digit = torch.from_numpy(source.labels)[rows]
        # The rank of each image within its digit, even or odd: as many red ones as green ones, to one.
        colour = torch.zeros(len(rows), dtype=torch.long)
        for d in range(10):
            colour[digit == d] = torch.arange(int((digit == d).sum())) % 2
        ink = area_average(source.images[rows].float() / 255, size, size).clamp_(0, 1)
        x = INK[colour][:, :, None, None] * ink
        super().__init__(x, torch.stack([colour, digit % 2], 1), names=("colour", "parity"), classes=(2, 2))


def coloured_environments(
    colour_flips: Sequence[float] = (0.1, 0.2),
    *,
    flip_label: float = 0.25,
    source: str = "mnist",
    size: int = 14,
    rows: int | None = None,
    seed: int = 0,
) -> list[Table]:
    """Return environments of digits in which colour goes with the label, more or less closely (Colored MNIST).

    The label is 1 for digits of 5 and above, flipped with probability ``flip_label``; the colour is the label flipped with the
    environment's own probability, so that shape predicts with 1 - flip_label everywhere and colour with 1 - e in environment e.
    A colour is the channel that the digit lies in; the other is 0. No image is in two environments.

    **Arguments:**
    - ``colour_flips``: e of each environment, from 0 to 1; the paper trains on 0.1 and 0.2 and tests on 0.9, 0.1 and 0.5.
    - ``flip_label``: from 0 to 1.
    - ``source``: a grey image set of ten digits: "mnist", "digits" or "mnist-full".
    - ``size``: side in pixels, at most that of the source, reduced by area.
    - ``rows``: of each environment; None shares all images out evenly.
    - ``seed``: of images, labels and colours.

    **Returns:** for each environment a Table with x (n, 2, size, size) in [0, 1], y (n,) 0 or 1, and domain (n,), its number.

    Raises InputError on a probability outside 0..1, on more rows than there are, or where the images cannot be had.

    Source: Arjovsky et al., 2019, section 5.2; Zhang, Lopez-Paz, Bottou, ICML 2022.

    >>> red, green = coloured_environments((0.0, 1.0), flip_label=0.0, source="digits", size=8)
    >>> red.columns["x"].shape, (red.columns["x"].sum((2, 3)).argmax(1) == red.columns["y"]).all()
    (torch.Size([898, 2, 8, 8]), tensor(True))
    """
    from farfield.tasks.sources import area_average, load_source
    from farfield.tasks.transforms import color

    for name, values in (("colour_flips", colour_flips), ("flip_label", [flip_label])):
        if not len(values) or not all(0 <= value <= 1 for value in values):
            raise InputError(f"{name} is {values}; expected probabilities from 0 to 1")
    if source not in ("mnist", "digits", "mnist-full"):
        raise InputError(f"source is {source!r}; it must be 'mnist', 'digits' or 'mnist-full'")
    found = load_source(source)
    n, side = len(found.images) // len(colour_flips), found.images.shape[2]
    rows = n if rows is None else rows
    if not 1 <= rows <= n:
        raise InputError(f"rows is {rows}; {source} has {n} for each of {len(colour_flips)} environments")
    if not 1 <= size <= side:
        raise InputError(f"size is {size}; images of {source} have sides of {side}, and are reduced to 1 at least")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(found.images), generator=generator)
    tables = []
    for e, (flip, own) in enumerate(zip(colour_flips, order.split(rows))):
        images = found.images[own]
        images = images.float() / 255 if images.dtype == torch.uint8 else images
        half = (torch.from_numpy(found.labels)[own] >= 5).long()
        x, y = color(area_average(images, size, size).clamp_(0, 1), half, flip, generator, label_flip=flip_label)
        tables.append(Table(x=x, y=y, domain=torch.full((rows,), e)))
    return tables
