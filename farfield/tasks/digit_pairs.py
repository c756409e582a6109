"""Pairs of MNIST's digits side by side: a hundred classes from ten."""

from collections.abc import Sequence

import numpy as np
import torch

from farfield.errors import InputError
from farfield.tasks.task import Table

TRAIN = 0.7


def digit_pairs(
    train: int = 12_000, test: int = 3_000, *, digits: Sequence[int] = range(10), size: int = 14, seed: int = 0
) -> tuple[Table, Table]:
    """Return pairs of digits to learn from and to test on: ``x`` (n, 1, size, 2 size) float32 in [0, 1], ``y`` = 10 a + b.

    MNIST's 10,000 test images are split 7,000 to 3,000 by the seed; pairs are drawn with replacement within each part, so that no
    digit's image is in both.

    **Arguments:** ``train``, ``test``: pairs of each, at least 1; ``digits``: the ones that occur, each from 0 to 9; ``size``: side
    of a digit in pixels, 14 is the mean of 2x2; ``seed``: of the split and of the pairs.

    Raises InputError on a number out of range, or where MNIST cannot be had.

    >>> digit_pairs(digits=[3, 11])
    Traceback (most recent call last):
    farfield.errors.InputError: digits is [3, 11]; each must be from 0 to 9, and no one twice
    """
    wanted = list(digits)
    if not wanted or len(set(wanted)) < len(wanted) or not all(0 <= d <= 9 for d in wanted):
        raise InputError(f"digits is {wanted}; each must be from 0 to 9, and no one twice")
    for name, value in {"train": train, "test": test}.items():
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    if not 4 <= size <= 28:
        raise InputError(f"size is {size}; MNIST's digits have sides of 28, and are reduced to 4 at least")
    from farfield.tasks.sources import area_average, load_source

    source = load_source("mnist")
    rng = np.random.default_rng([seed, 0xD1617])
    order = rng.permutation(len(source.labels))
    cut = round(TRAIN * len(order))
    images = area_average(source.images.float() / 255, size, size).clamp_(0, 1)

    def pairs(rows: np.ndarray, n: int) -> Table:
        rows = rows[np.isin(source.labels[rows], wanted)]
        left, right = rng.choice(rows, size=(2, n))
        x = torch.cat([images[torch.from_numpy(left)], images[torch.from_numpy(right)]], dim=3)
        return Table(x=x, y=10 * source.labels[left] + source.labels[right])

    return pairs(order[:cut], train), pairs(order[cut:], test)
