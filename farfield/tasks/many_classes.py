"""Real images of a hundred classes and more, as search needs them: pairs of digits, and Omniglot's characters."""

import hashlib

import numpy as np
import torch

from farfield.errors import unknown_name
from farfield.names import Name
from farfield.tasks.characters import CHARACTERS, characters
from farfield.tasks.digit_pairs import digit_pairs
from farfield.tasks.task import Classes, Image, Task

NAMES: tuple[str, ...] = ("digit-pairs", "characters")
VALIDATION = 0.1


def expand(name: Name) -> list[Name]:
    """Return the name itself. Raises InputError on an unknown one, with the nearest known ones.

    >>> from farfield.names import parse
    >>> expand(parse("digit-pairs/far"))
    Traceback (most recent call last):
    farfield.errors.InputError: unknown task 'digit-pairs/far'; nearest: digit-pairs
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return a task without a shift; a tenth of its training rows, by ``seed``, are for validation.

    - ``digit-pairs``: 12,000 pairs of MNIST's digits (`farfield.tasks.digit_pairs`), 100 classes, 3,000 pairs of other
      digits as test.
    - ``characters``: 242 characters of Omniglot at 21 x 21 pixels, 14 drawings of each to learn from and 6 as test.

    Raises InputError on an unknown name or option, or where the data cannot be had.
    """
    expand(name)
    name.check_options([])
    if name.path == "digit-pairs":
        (train, test), count = digit_pairs(seed=seed), 100
    else:
        ((train, test),), count = characters([CHARACTERS], seed=seed), CHARACTERS
    order = torch.from_numpy(np.random.default_rng([seed, 0x3A]).permutation(len(train)))
    held_back = round(VALIDATION * len(train))
    train, test = (t.replace(domain=torch.zeros(len(t), dtype=torch.long)) for t in (train, test))
    digest = hashlib.sha256()
    for part in (train, test):
        for column in ("x", "y"):
            digest.update(part.columns[column].numpy().tobytes())
    return Task(
        str(name),
        train.take(order[held_back:]),
        train.take(order[:held_back]),
        {"iid": test},
        Image(*train.columns["x"].shape[1:]),
        Classes(count),
        domains=("mnist" if name.path == "digit-pairs" else "omniglot",),
        fingerprint=digest.hexdigest(),
    )
