"""MNIST's digits in a colour drawn by chance: an easy feature and a hard one in real images."""

from typing import Literal

import torch

from farfield.errors import InputError
from farfield.tasks.labelled_features import LabelledFeatures

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
