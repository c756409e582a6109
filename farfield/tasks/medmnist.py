"""Medical images at 64x64 pixels from MedMNIST v2: chest radiographs, skin, organs."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import torch

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks import fetch
from farfield.tasks.task import Classes, Image, Table, Task

SETS = ("pneumonia", "derma", "organ-a", "chest")
NAMES: tuple[str, ...] = tuple(f"medmnist/{s}" for s in SETS)
# ChestMNIST has 14 findings at once; this one is asked for: present or not.
FINDING, EFFUSION = ("no effusion", "effusion"), 2


def expand(name: Name) -> list[Name]:
    """Return the name itself. Raises InputError on an unknown one, with the nearest known ones.

    >>> from farfield.names import parse
    >>> expand(parse("medmnist/skin"))
    Traceback (most recent call last):
    farfield.errors.InputError: unknown task 'medmnist/skin'; ...
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return one data set with its published training, validation and test images, one domain, no shift.

    ``medmnist/pneumonia``: 5,856 chest radiographs of children, pneumonia or not; ``medmnist/derma``: 10,015 colour images of
    skin, 7 diagnoses; ``medmnist/organ-a``: 58,830 slices of abdominal CT, 11 organs; ``medmnist/chest``: 112,120 chest
    radiographs, effusion or not. The split is the published one, whatever the seed.

    Raises InputError on an unknown name or option, or where the data cannot be had or is damaged.

    Source: Yang et al., "MedMNIST v2", Scientific Data, 2023; the files of version 3, at 64x64.
    """
    expand(name)
    name.check_options([])
    dataset = name.path.replace("/", "-")
    folder, (file,) = fetch.path(dataset), fetch.card(dataset).files
    parts = read(folder / file)
    digest = hashlib.sha256()
    tables = {}
    for part, (x, y) in parts.items():
        digest.update(x.tobytes() + y.tobytes())
        tables[part] = Table(x=x, y=y, domain=torch.zeros(len(y), dtype=torch.long))
    count = 1 + max(int(y.max()) for _, y in parts.values())
    classes = Classes(count, FINDING if dataset == "medmnist-chest" else ())
    return Task(
        str(name),
        tables["train"],
        tables["val"],
        {"iid": tables["test"]},
        Image(*parts["train"][0].shape[1:]),
        classes,
        domains=(dataset,),
        notes=fetch.notices(dataset),
        fingerprint=digest.hexdigest(),
    )


def read(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images (n, channels, side, side) uint8 and labels (n,) int64 of "train", "val" and "test" in a file of MedMNIST.

    Of labels with several findings at once, the third, effusion in ChestMNIST, is kept.

    Raises InputError where the file is damaged or holds something else.
    """
    found = {}
    try:
        # Opened here: of a broken file numpy would leave its own open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            for part in ("train", "val", "test"):
                images, labels = file[f"{part}_images"], file[f"{part}_labels"]
                images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
                column = EFFUSION if labels.shape[1] > 1 else 0
                found[part] = np.ascontiguousarray(images), labels[:, column].astype(np.int64)
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a file of MedMNIST ({error}); remove it, or provide it again") from error
    return found
