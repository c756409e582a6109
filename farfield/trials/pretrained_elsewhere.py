"""Little data to fine-tune on, and a network that was pretrained on other data: what studies of fine-tuning start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn.functional import cross_entropy

from farfield import nn, tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.study.stage import stage
from farfield.tasks.sources import area_average, load_source
from farfield.tasks.task import Classes, Image, Split, Table, Task, Vector, column
from farfield.tasks.two_cue_digits import TwoCueDigits
from farfield.train import train

DIGITS, REVIEWS, CHARACTERS = "two-cue-digits", "amazon/dvd-electronics", "omniglot/writers?test=16-20"
HASHED, SIDE, FEW_CLASSES = 2048, 14, 20


@dataclass(frozen=True)
class Setting:
    """A task with little training data, and what a network for it is pretrained on (None: it comes pretrained by its name)."""

    task: Task
    pretraining: Task | None


@lru_cache(maxsize=4)
def setting(task: str, rows: int, seed: int, model: str = "mlp") -> Setting | None:
    """Return a task cut down to so many training rows (as even over classes as they allow), None where it has fewer.

    Three tasks come with data to pretrain on: ``two-cue-digits`` (seven of the ten digits, another
    cue), ``amazon/dvd-electronics`` (reviews of books and kitchenware; words hashed to 2,048
    counts) and ``omniglot/writers?test=16-20`` (20 characters drawn by the seed; MNIST's digits;
    14x14 pixels). Any other needs a ``model`` that is pretrained, and is prepared for it.

    Raises InputError where the data cannot be had, or a built-in model has nothing to be pretrained
    on.

    >>> setting("digits/rotation", 50, 0)
    Traceback (most recent call last):
    farfield.errors.InputError: there is nothing to pretrain mlp on for digits/rotation: name a pretrained model, such as hf:...
    """
    if task == DIGITS:
        data = TwoCueDigits(rows=rows, seed=seed) if rows <= 1500 else None
        return data and Setting(data.task(), _pretraining(task, data.pretraining, Vector(216), 7))
    if task == REVIEWS:
        whole, pretraining = _reviews(task, seed), _other_reviews(task)
    elif task == CHARACTERS:
        whole, pretraining = _characters(task, seed), _digits(task)
    else:
        if parse(model).kind == "builtin":
            raise InputError(
                f"there is nothing to pretrain {model} on for {task}: name a pretrained model, such as hf:..."
            )
        whole, pretraining = _prepared(task, seed, model), None
    if len(whole.train) < rows:
        return None
    kept = _even(column(whole.train, "y"), rows, seed)
    return Setting(replace(whole, train=_take(whole.train, kept)), pretraining)


def start(point: Mapping[str, Any], chosen: Setting, seed: int) -> torch_nn.Module:
    """Return the pretrained network with a new head for the task.

    **Arguments:** ``point``: ``task``, ``rows``, ``model``, ``pretraining_steps``, ``device``.
    """
    model = nn.load(point["model"], chosen.task, seed=seed)
    if chosen.pretraining is not None:
        steps = point["pretraining_steps"]
        weights = pretrained(task=point["task"], rows=point["rows"], model=point["model"], steps=steps, seed=seed)
        model.encoder.load_state_dict(weights)
    return model.to(point["device"])


@stage
def pretrained(*, task: str, rows: int, model: str, steps: int, seed: int) -> dict[str, Tensor]:
    """Return the weights of an encoder pretrained for a task of `setting`, by Adam at 1e-3 with batches of 128."""
    found = setting(task, rows, seed, model)
    fresh = nn.load(model, found.pretraining, seed=seed)
    optimizer = torch.optim.Adam(fresh.parameters(), lr=1e-3, fused=True)
    train(
        fresh,
        found.pretraining.train,
        lambda model, batch: cross_entropy(model(batch["x"]), batch["y"]),
        optimizer,
        steps=steps,
        batch_size=128,
        seed=seed,
    )
    return fresh.encoder.state_dict()


# A worker meets one seed for all ways and numbers of rows; what does not hang on the seed is made once.
@lru_cache(maxsize=2)
def _reviews(task: str, seed: int) -> Task:
    return _mapped(tasks.load(task, seed=seed), _hashed, Vector(HASHED))


@lru_cache(maxsize=2)
def _characters(task: str, seed: int) -> Task:
    return _mapped(_few_classes(tasks.load(task, seed=seed), seed), _reduced, Image(1, SIDE, SIDE))


@lru_cache(maxsize=2)
def _prepared(task: str, seed: int, model: str) -> Task:
    return nn.prepare(model, tasks.load(task, seed=seed))


@lru_cache(maxsize=1)
def _other_reviews(task: str) -> Task:
    """Return the 2,000 training reviews of books and of kitchenware, without those that also lie in a test."""
    # The seed only shares them out between training and validation.
    others = [tasks.load(name, seed=0) for name in ("amazon/books-kitchen", "amazon/kitchen-books")]
    splits = [split for other in others for split in (other.train, other.val)]
    x, y = (torch.cat([column(split, name) for split in splits]) for name in ("x", "y"))
    return _pretraining(task, Table(x=_hashed(x), y=y), Vector(HASHED), 2)


@lru_cache(maxsize=1)
def _digits(task: str) -> Task:
    source = load_source("mnist")
    rows = Table(x=_reduced(source.images), y=torch.from_numpy(source.labels))
    return _pretraining(task, rows, Image(1, SIDE, SIDE), 10)


def _pretraining(name: str, rows: Table, inputs: Image | Vector, classes: int) -> Task:
    return Task(f"pretraining for {name}", rows, rows, {"iid": rows}, inputs, Classes(classes), ("pretraining",))


def _mapped(task: Task, change: Any, inputs: Image | Vector) -> Task:
    """Return a task of in-memory splits with its inputs changed."""

    def mapped(split: Split) -> Split:
        return split.replace(x=change(column(split, "x")))

    tests = {name: mapped(split) for name, split in task.tests.items()}
    return replace(task, train=mapped(task.train), val=mapped(task.val), tests=tests, inputs=inputs)


def _hashed(x: Tensor) -> Tensor:
    """Return counts of words (n, 5000) as sums over buckets (n, 2048); which word falls where is drawn once for all."""
    bucket = torch.randint(HASHED, (x.shape[1],), generator=torch.Generator().manual_seed(0x4A5))
    return torch.zeros(len(x), HASHED).index_add_(1, bucket, x)


def _reduced(x: Tensor) -> Tensor:
    return area_average(x.float() / 255 if x.dtype == torch.uint8 else x, SIDE, SIDE).clamp_(0, 1)


def _few_classes(task: Task, seed: int) -> Task:
    """Return a task with 20 of its classes, drawn by the seed."""
    drawn = torch.randperm(task.outputs.count, generator=torch.Generator().manual_seed(seed))[:FEW_CLASSES]
    number = torch.full((task.outputs.count,), -1)
    number[drawn] = torch.arange(len(drawn))

    def kept(split: Split) -> Split:
        y = number[column(split, "y")]
        return split.replace(y=y).take(torch.nonzero(y >= 0).flatten())

    names = tuple(task.outputs.names[i] for i in drawn.tolist())
    tests = {name: kept(split) for name, split in task.tests.items()}
    return replace(task, train=kept(task.train), val=kept(task.val), tests=tests, outputs=Classes(len(names), names))


def _even(y: Tensor, rows: int, seed: int) -> Tensor:
    """Return row numbers, as many of each class as of any other where there are enough; fewer rows are among more."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    rank = torch.zeros(len(y), dtype=torch.long)
    for label in y.unique():
        mine = order[y[order] == label]
        rank[mine] = torch.arange(len(mine))
    return order[rank[order].argsort(stable=True)][:rows]


def _take(split: Split, rows: Tensor) -> Split:
    return split.take(rows) if isinstance(split, Table) else Table(**split[rows])
