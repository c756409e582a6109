"""Image sets that a pretrained model is brought to: CIFAR-100, Stanford Cars and Oxford Flowers, by their own splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from farfield.names import Name, parse
from farfield.tasks.decode import pixels
from farfield.tasks.huggingface import pictures, read_dataset
from farfield.tasks.task import Classes, Image, Table, Task


@dataclass(frozen=True)
class Source:
    """A data set of the hub: its id, the columns of image and label, its splits, and the side of its images in pixels."""

    hub: str
    image: str
    label: str
    train: str
    test: str
    size: int
    note: str


SOURCES = {
    "image-transfer/cifar100": Source(
        "uoft-cs/cifar100", "img", "fine_label", "train", "test", 32, "CIFAR-100 (Krizhevsky, 2009) comes without a licence."
    ),
    "image-transfer/cars": Source(
        "tanganke/stanford_cars", "image", "label", "train", "test", 224,
        "Stanford Cars (Krause et al., 2013) is for research, not for commercial use.",
    ),
    "image-transfer/flowers": Source(
        "dpdl-benchmark/oxford_flowers102", "image", "label", "train", "test", 224,
        "Oxford Flowers-102 (Nilsback & Zisserman, 2008) comes without a licence.",
    ),
}  # fmt: skip
NAMES = tuple(SOURCES)
HUB = {name: (source.hub,) for name, source in SOURCES.items()}


def expand(name: Name) -> list[Name]:
    """Return the task itself."""
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task: name the class of an image, learned from the training split and tested on the official test split.

    A tenth of the training images, drawn by ``seed``, is for validation. There is no far test: what is far here is the data set
    itself, from what a pretrained model has seen.

    It comes from the Hugging Face hub on first use (cifar100 160 MB, cars 2 GB, flowers 350 MB). Raises MissingExtra without the
    package datasets, InputError where it cannot be had.
    """
    name.check_options([])
    source = SOURCES[name.path]
    train, test = (read_dataset(parse(f"hf:{source.hub}?split={split}")) for split in (source.train, source.test))
    return task(str(name), train, test, source, seed)


def task(name: str, train: Any, test: Any, source: Source, seed: int) -> Task:
    """Return the task of two ``datasets.Dataset`` at hand, with images resized to squares of ``source.size`` pixels."""
    learned, tested = (table(rows, source) for rows in (train, test))
    names = train.features[source.label].names
    order = torch.from_numpy(np.random.default_rng([seed, 0x1A]).permutation(len(learned)))
    held_out = max(1, len(learned) // 10)
    digest = hashlib.sha256()
    for part in (learned, tested):
        digest.update(part.columns["x"].numpy().tobytes() + part.columns["y"].numpy().tobytes())
    return Task(
        name,
        learned.take(order[held_out:]),
        learned.take(order[:held_out]),
        {"iid": tested},
        Image(3, source.size, source.size),
        Classes(len(names), tuple(names)),
        (source.hub,),
        notes=(source.note,),
        fingerprint=digest.hexdigest(),
    )


def table(rows: Any, source: Source) -> Table:
    """Return images (n, 3, size, size) uint8, labels and domain 0 of a ``datasets.Dataset``."""
    undecoded = pictures(rows, source.image, source=source.hub)
    labels = torch.tensor(rows.with_format(None)[source.label])
    x = pixels(undecoded, size=source.size, channels=3)
    return Table(x=x, y=labels, domain=torch.zeros(len(labels), dtype=torch.long))
