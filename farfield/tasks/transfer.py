"""Fine-tuning with something to lose: pretraining on many domains, then a small task from one of them, tested on the others.

The small studies of fine-tuning papers need a pretrained model whose structure fine-tuning can keep or spoil. ``load`` gives the
task to fine-tune on, ``pretraining`` the data that the model is pretrained on; no test example is in the latter.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import numpy as np
import torch
from torch import Tensor

from farfield.errors import unknown_name
from farfield.names import Name
from farfield.tasks import amazon
from farfield.tasks.shifts import LEVELS, shift
from farfield.tasks.sources import load_source
from farfield.tasks.task import Classes, Image, Table, Task, Vector, column

DOMAINS = ("books", "dvd", "electronics", "kitchen")
NAMES = ("transfer/mnist-parity", *(f"transfer/amazon-{d}" for d in DOMAINS))
PIVOTS = 200
PRETRAINING_ROWS, FINE_TUNING_ROWS, TEST_ROWS = slice(0, 6000), slice(6000, 8000), slice(8000, 10_000)
TRAINING_SIZE, VALIDATION_SIZE = 1000, 500


def expand(name: Name) -> list[Name]:
    """Return the task itself. Raises InputError on an unknown name, with the nearest known ones."""
    _check(name)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task to fine-tune on.

    - ``transfer/mnist-parity``: odd or even? 1,000 upright digits of 14x14 pixels (rows 6000 to 7999 of the 10,000), tested
      on upright digits and on five rotations (rows 8000 to 9999).
    - ``transfer/amazon-<domain>``: positive or negative? The training reviews of one domain, tested on the other three; the
      200 words that pretraining predicts are not among the inputs.

    **Arguments:** ``seed`` decides which rows are for training and which for validation.
    """
    _check(name)
    name.check_options([])
    return _parity(name, seed) if name.path.endswith("mnist-parity") else _reviews(name, seed)


def pretraining(name: str) -> tuple[Table, Image | Vector, int]:
    """Return the data to pretrain on (columns ``x``, ``y``), what its inputs are, and the number of outputs.

    - of ``transfer/mnist-parity``: which digit (``y`` int64)? Rows 0 to 5999 under all six rotations.
    - of ``transfer/amazon-<domain>``: which of 200 frequent words does a review of any domain have (``y`` float, one column
      per word)? They are hidden from the inputs: the pivot features of Blitzer et al., 2006.
    """
    if name.endswith("mnist-parity"):
        source = _digits14()
        images, labels = source[0][PRETRAINING_ROWS], source[1][PRETRAINING_ROWS]
        rotated = torch.cat([shift("rotation").apply(images, level) for level in range(LEVELS)])
        return Table(x=rotated, y=labels.repeat(LEVELS)), Image(1, 14, 14), 10
    everything = amazon.load(Name("builtin", "amazon", {}), 0)
    x = torch.cat([column(everything.train, "x"), column(everything.val, "x")])
    pivots, rest = _pivots()
    return Table(x=x[:, rest], y=(x[:, pivots] > 0).float()), Vector(len(rest)), PIVOTS


def _check(name: Name) -> None:
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)


def _parity(name: Name, seed: int) -> Task:
    images, labels, fingerprint, notes = _digits14()
    order = np.random.default_rng([seed, 0x7A]).permutation(np.arange(10_000)[FINE_TUNING_ROWS])
    train, val = order[:TRAINING_SIZE], order[TRAINING_SIZE : TRAINING_SIZE + VALIDATION_SIZE]
    upright, parity = images[TEST_ROWS], labels[TEST_ROWS] % 2

    def table(rows: np.ndarray) -> Table:
        at = torch.from_numpy(rows)
        return Table(x=images[at], y=labels[at] % 2, domain=torch.zeros(len(at), dtype=torch.long))

    rotation = shift("rotation")
    tests = {"iid": Table(x=upright, y=parity, domain=torch.zeros(len(upright), dtype=torch.long))}
    tests |= {rotation.label(k): Table(x=rotation.apply(upright, k), y=parity) for k in range(1, LEVELS)}
    return Task(
        str(name),
        table(train),
        table(val),
        tests,
        Image(1, 14, 14),
        Classes(2, ("even", "odd")),
        (rotation.label(0),),
        severity={rotation.label(k): k for k in range(LEVELS)},
        notes=notes,
        fingerprint=hashlib.sha256(f"{fingerprint} {name}".encode()).hexdigest(),
    )


def _reviews(name: Name, seed: int) -> Task:
    task = amazon.load(Name("builtin", name.path.removeprefix("transfer/").replace("-", "/"), {}), seed)
    _, rest = _pivots()

    def without(split: Table) -> Table:
        return split.replace(x=column(split, "x")[:, rest])

    return dataclasses.replace(
        task,
        name=str(name),
        train=without(task.train),
        val=without(task.val),
        tests={test: without(split) for test, split in task.tests.items()},
        inputs=Vector(len(rest)),
    )


@functools.lru_cache(maxsize=1)
def _digits14() -> tuple[Tensor, Tensor, str, tuple[str, ...]]:
    source = load_source("mnist")
    x = source.images.float() / 255 if source.images.dtype == torch.uint8 else source.images
    # Every second pixel: the digits stay readable at a quarter of the cost.
    return x[:, :, ::2, ::2].contiguous(), torch.from_numpy(source.labels), source.fingerprint, source.notes


@functools.lru_cache(maxsize=1)
def _pivots() -> tuple[Tensor, Tensor]:
    """Return the columns of the most frequent words over the training reviews of all domains, and the other columns."""
    everything = amazon.load(Name("builtin", "amazon", {}), 0)
    counts = sum((column(split, "x") > 0).sum(0) for split in (everything.train, everything.val))
    # Stable, so that equal counts are always ranked alike.
    order = torch.argsort(counts, descending=True, stable=True)
    return order[:PIVOTS].sort().values, order[PIVOTS:].sort().values
