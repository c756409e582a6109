"""ImageNet and four data sets that show its classes otherwise: sketches, new photographs, renditions, natural adversarial examples."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from farfield.errors import InputError, MissingExtra, unknown_name
from farfield.names import Name
from farfield.tasks.decode import pixels
from farfield.tasks.huggingface import pictures, read_dataset
from farfield.tasks.task import Classes, Image, Table, Task

NAMES = ("imagenet-shifts",)
TRAINING = "ILSVRC/imagenet-1k"
NEAR = "clip-benchmark/wds_imagenet1k"
FAR = {
    "sketch": "clip-benchmark/wds_imagenet_sketch",
    "v2": "clip-benchmark/wds_imagenetv2",
    "renditions": "clip-benchmark/wds_imagenet-r",
    "adversarial": "clip-benchmark/wds_imagenet-a",
}
HUB = (TRAINING, NEAR, *FAR.values())
CLASSES, SIZE, PER_CLASS, TEST_ROWS = 1000, 224, 25, 10_000
NOTE = "ImageNet and the data sets made from it are for research, not for commercial use; ImageNet must be agreed to on the hub."


def expand(name: Name) -> list[Name]:
    """Return the task itself."""
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return ImageNet's 1,000 classes with four far tests (ImageNet-Sketch, -V2, -R, -A), pictures of 224x224.

    Training: 25 pictures of each class, 5 of them for validation, drawn by ``seed``; near: 10,000
    of the validation pictures; far: up to 10,000 of each. All come from the Hugging Face hub on
    first use. -R and -A have 200 of the classes, which are matched by their names.

    Raises InputError where the data cannot be had or a class of a far test has no name among
    ImageNet's, MissingExtra without the package datasets.
    """
    name.check_options([])
    rng = np.random.default_rng([seed, 0x1A])
    names = _class_names(NEAR)
    train, y = _pictures(TRAINING, "train", "image", "label", rng, per_class=PER_CLASS)
    rank = within_class(y)
    tests = {}
    for test, source in {"iid": NEAR, **FAR}.items():
        x, labels = _pictures(source, "test", None, "cls", rng, most=TEST_ROWS)
        tests[test] = Table(x=x, y=torch.from_numpy(match(_class_names(source), names, source)[labels]))
    held = torch.from_numpy(rank >= PER_CLASS - PER_CLASS // 5)
    rows = Table(x=train, y=torch.from_numpy(y), domain=torch.zeros(len(y), dtype=torch.long))
    digest = hashlib.sha256(y.tobytes() + b"".join(t.columns["y"].numpy().tobytes() for t in tests.values()))
    return Task(
        str(name),
        rows.take(torch.nonzero(~held).flatten()),
        rows.take(torch.nonzero(held).flatten()),
        tests,
        Image(3, SIZE, SIZE),
        Classes(CLASSES, tuple(f"{i} {label}" for i, label in enumerate(names))),
        domains=("photographs",),
        notes=(NOTE,),
        fingerprint=digest.hexdigest(),
    )


def match(classes: list[str], names: list[str], source: str) -> np.ndarray:
    """Return for each class of a data set its number among ImageNet's names.

    Where there are as many classes as names they are taken in order, since two classes of ImageNet
    share a name.

    Raises InputError on a class that has no name there, or several.

    >>> match(["crane", "tench"], ["tench", "shark", "crane"], "some set").tolist()
    [2, 0]
    """
    if len(classes) == len(names):
        return np.arange(len(names))
    found = []
    for label in classes:
        at = [i for i, name in enumerate(names) if name == label]
        if len(at) != 1:
            raise InputError(
                f"the class {label!r} of {source} has {len(at)} namesakes among ImageNet's classes; expected 1"
            )
        found.append(at[0])
    return np.array(found)


def within_class(y: np.ndarray) -> np.ndarray:
    """Return for each row how many rows of its class come before it.

    >>> within_class(np.array([4, 4, 1, 4])).tolist()
    [0, 1, 0, 2]
    """
    order = np.argsort(y, kind="stable")
    sorted_y = y[order]
    first = np.searchsorted(sorted_y, sorted_y)
    rank = np.empty(len(y), dtype=np.int64)
    rank[order] = np.arange(len(y)) - first
    return rank


def _pictures(
    source: str,
    split: str,
    image: str | None,
    target: str,
    rng: np.random.Generator,
    *,
    per_class: int | None = None,
    most: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (n, 3, 224, 224) uint8 and labels of a random part of a data set."""
    dataset = read_dataset(Name("hf", source, {"split": split}))
    column = image or next((c for c in ("webp", "jpg", "jpeg", "png") if c in dataset.column_names), "a picture")
    for needed in (column, target):
        if needed not in dataset.column_names:
            raise unknown_name(f"column of hf:{source}", needed, dataset.column_names)
    labels = np.asarray(dataset.with_format(None).select_columns(target)[target], dtype=np.int64)
    order = rng.permutation(len(labels))
    kept = order[:most] if per_class is None else order[within_class(labels[order]) < per_class]
    undecoded = pictures(dataset.select(kept), column, source=f"hf:{source}")
    return np.asarray(pixels(undecoded, size=SIZE, channels=3)), labels[kept]


def _class_names(source: str) -> list[str]:
    """Return the names of a data set's classes, in order; they lie beside its pictures."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise MissingExtra("huggingface_hub", extra="hf", needed_by="the task imagenet-shifts") from error
    try:
        path: Any = hf_hub_download(source, "classnames.txt", repo_type="dataset")
    except (OSError, ValueError) as error:
        raise InputError(f"hf:{source} cannot be had: {str(error).strip().splitlines()[0]}") from error
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]
