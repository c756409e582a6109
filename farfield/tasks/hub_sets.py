"""Well-known data sets of the Hugging Face hub with their published test split: one domain, no shift."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks.decode import count_channels, pixels
from farfield.tasks.huggingface import pictures, read_dataset
from farfield.tasks.task import Classes, Image, Table, Task, Text

VALIDATION = 0.1


@dataclass(frozen=True)
class HubSet:
    """Where a data set lies and which columns it is made of.

    **Fields:** ``id`` on the hub, or a folder that ``datasets`` saved; ``target``: the column of labels; ``text`` or ``image``: the
    column to learn from; ``size``: the side of the images in pixels; ``config``: of the hub's data set, "" for the only one; ``note``: a
    sentence that the user must see, such as a licence that forbids commercial use.
    """

    id: str
    target: str
    text: str = ""
    image: str = ""
    size: int = 32
    config: str = ""
    note: str = ""


SETS = {
    "hub/fashion-mnist": HubSet("zalando-datasets/fashion_mnist", "label", image="image", size=28),
    "hub/cifar100": HubSet("uoft-cs/cifar100", "fine_label", image="img"),
    "hub/cifar100-coarse": HubSet("uoft-cs/cifar100", "coarse_label", image="img"),
    "hub/cars": HubSet(
        "tanganke/stanford_cars", "label", image="image", size=224,
        note="Stanford Cars (Krause et al., 2013) is for research, not for commercial use.",
    ),
    "hub/flowers": HubSet("dpdl-benchmark/oxford_flowers102", "label", image="image", size=224),
    "hub/trec": HubSet("SetFit/TREC-QC", "label_coarse", text="text"),
    "hub/dbpedia": HubSet("fancyzhx/dbpedia_14", "label", text="content"),
    "hub/amazon-reviews": HubSet("mteb/amazon_reviews_multi", "label", text="text", config="en"),
}  # fmt: skip
NAMES = tuple(SETS)
# By name, so that asking what a task needs does not fetch it.
HUB = {name: (found.id,) for name, found in SETS.items()}


def expand(name: Name) -> list[Name]:
    """Return the name itself. Raises InputError on an unknown one, with the nearest known ones.

    >>> from farfield.names import parse
    >>> expand(parse("hub/cifar10"))
    Traceback (most recent call last):
    farfield.errors.InputError: unknown task 'hub/cifar10'; nearest: hub/cifar100, ...
    """
    if name.path not in SETS:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return a data set of the hub as a task: its training split, a tenth of it (by ``seed``) for validation, its test split.

    Downloaded from the Hugging Face hub on first use. Raises InputError on an unknown name or option or where the data cannot
    be had, MissingExtra without the package datasets.
    """
    expand(name)
    name.check_options([])
    return make(str(name), SETS[name.path], seed)


def make(name: str, source: HubSet, seed: int) -> Task:
    """Return the task of a data set that lies on the hub or in a folder.

    Raises InputError where a column is absent, or a label of the test is not among those of training.

    >>> make("mine", HubSet("nowhere/", "label", text="text"), seed=0)
    Traceback (most recent call last):
    farfield.errors.InputError: folder not found: nowhere/
    """
    (x, labels), (x_test, test_labels) = (_read(source, split) for split in ("train", "test"))
    classes = tuple(sorted(set(labels)))
    unknown = sorted(set(test_labels) - set(classes))
    if unknown:
        raise InputError(f"the test split of {source.id} has the labels {unknown}, which its training split has not")
    y, y_test = (torch.tensor([classes.index(label) for label in part]) for part in (labels, test_labels))
    order = np.random.default_rng([seed, 0x4B]).permutation(len(y))
    n = max(1, round(VALIDATION * len(y)))

    def table(x: np.ndarray, y: torch.Tensor) -> Table:
        return Table(x=x, y=y, domain=torch.zeros(len(y), dtype=torch.long))

    train, test = table(x, y), table(x_test, y_test)
    digest = hashlib.sha256(y.numpy().tobytes() + y_test.numpy().tobytes())
    for part in (x, x_test):
        digest.update("\0".join(part).encode() if source.text else part.tobytes())
    return Task(
        name,
        train.take(torch.from_numpy(order[n:])),
        train.take(torch.from_numpy(order[:n])),
        {"iid": test},
        Text() if source.text else Image(x.shape[1], x.shape[2], x.shape[3]),
        Classes(len(classes), tuple(str(c) for c in classes)),
        domains=(source.id,),
        notes=(source.note,) if source.note else (),
        fingerprint=digest.hexdigest(),
    )


def _read(source: HubSet, split: str) -> tuple[np.ndarray, list]:
    """Return the inputs (texts, or uint8 images) and the labels of one split."""
    options = {"split": split} | ({"config": source.config} if source.config else {})
    dataset = read_dataset(Name("hf", source.id, options))
    for column in (source.target, source.text or source.image):
        if column not in dataset.column_names:
            raise unknown_name(f"column of hf:{source.id}", column, dataset.column_names)
    labels = list(dataset.with_format(None)[source.target])
    if source.text:
        return np.asarray(list(dataset.with_format(None)[source.text]), dtype=object), labels
    undecoded = pictures(dataset, source.image, source=f"hf:{source.id}")
    found = pixels(undecoded, size=source.size, channels=count_channels(undecoded))
    return np.asarray(found), labels
