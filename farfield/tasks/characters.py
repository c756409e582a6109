"""Groups of Omniglot's characters that share none, each with drawings to learn from and drawings held back."""

from collections.abc import Sequence

import numpy as np
import torch

from farfield.errors import InputError
from farfield.tasks.task import Table

CHARACTERS = 242
DRAWINGS = 20


def characters(
    counts: Sequence[int], train: int | Sequence[int] = 14, *, size: int = 21, seed: int = 0
) -> list[tuple[Table, Table]]:
    """Return groups of different characters: for each the drawings to learn from and the others.

    Of the 242 characters of Omniglot's two small background sets (Greek and Latin, which lie in both, counted once), groups of the
    given sizes are drawn. Each character has 20 drawings by different people, of which ``train`` are drawn to learn from.

    **Arguments:**
    - ``counts``: characters in each group, at most 242 in all.
    - ``train``: drawings to learn from, from 1 to 19; one number, or one for each group.
    - ``size``: side in pixels; 21 is the mean of 5x5 of the 105x105 pixels.
    - ``seed``: of both draws. Groups that come first are the same whatever is asked for after them.

    Returns for each group two tables with ``x`` (n, 1, size, size) float32, ink is 1, ``y`` int64 from 0 to its count - 1 (in the
    order of the draw), and ``character``, int64 from 0 to 241, which is the same in every group and for every seed.

    Raises InputError on counts, drawings or a size out of range, or where the data cannot be had.

    Source: Lake, Salakhutdinov, Tenenbaum, Science 2015, for the data.

    >>> characters([240, 3])
    Traceback (most recent call last):
    farfield.errors.InputError: counts add up to 243; there are 242 characters
    """
    each = [train] * len(counts) if isinstance(train, int) else list(train)
    if not counts or min(counts) < 1:
        raise InputError(f"counts is {list(counts)}; it must be one or more numbers of characters, each at least 1")
    if sum(counts) > CHARACTERS:
        raise InputError(f"counts add up to {sum(counts)}; there are {CHARACTERS} characters")
    if len(each) != len(counts):
        raise InputError(f"train has {len(each)} numbers for {len(counts)} groups; give one number, or one for each")
    if not all(1 <= t < DRAWINGS for t in each):
        raise InputError(f"train is {train}; of {DRAWINGS} drawings from 1 to {DRAWINGS - 1} can be learned from")
    if not 4 <= size <= 105:
        raise InputError(f"size is {size}; the drawings have sides of 105 pixels, and are reduced to 4 at least")
    from farfield.tasks.sources import drawings

    all_drawings = drawings(size)
    rng = np.random.default_rng([seed, 0xC1A55])
    order = rng.permutation(CHARACTERS)
    # Which drawings of a character are learned from depends on the seed and the character alone.
    ranks = np.argsort(rng.random((CHARACTERS, DRAWINGS)), axis=1).argsort(axis=1)
    rank = ranks[all_drawings.character, all_drawings.drawing - 1]
    images = torch.from_numpy(all_drawings.images)
    found = []
    for chosen, learned in zip(np.split(order, np.cumsum(counts))[:-1], each):
        number = np.full(CHARACTERS, -1)
        number[chosen] = np.arange(len(chosen))
        y = number[all_drawings.character]

        def table(rows: np.ndarray, y: np.ndarray = y) -> Table:
            at = np.flatnonzero(rows)
            return Table(x=images[torch.from_numpy(at)], y=y[at], character=all_drawings.character[at])

        found.append((table((y >= 0) & (rank < learned)), table((y >= 0) & (rank >= learned))))
    return found
