"""Who learns what: classes of pretrained models, classes that arrive task by task, classes that are only searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks import class_increments
from farfield.tasks.class_increments import join
from farfield.tasks.task import Table, Task, column


@dataclass(frozen=True)
class Scenario:
    """What is learned and searched.

    **Fields:** ``like``: the task that a model's inputs fit; ``server``: rows of the classes of pretrained models,
    numbered from 0; ``local``: the tasks; ``gallery``, ``queries``: rows of classes that are in neither.
    """

    like: Task
    server: Table
    local: tuple[Table, ...]
    gallery: Table
    queries: Table


def scenario(point: Mapping[str, Any], seed: int) -> Scenario:
    """Return the scenario of a point: see `farfield.trials.successive_models.trial` for what it holds.

    Raises InputError where there are too few classes.
    """
    return _scenario(*_key(point), seed)


def _key(point: Mapping[str, Any]) -> tuple[Any, ...]:
    other = [tuple(point[name]) for name in ("pretraining_tasks", "evaluation_tasks")]
    sizes = (point["first"], *[point["step"]] * (point["tasks"] - 1))
    return point["task"], *other, max(point["pretrained_classes"]), sizes, point["held_out"], point["per_class"]


@lru_cache(maxsize=2)
def _scenario(
    name: str, server: tuple[str, ...], evaluation: tuple[str, ...], pretrained: int, sizes: tuple[int, ...],
    held_out: int, per_class: int | None, seed: int,
) -> Scenario:  # fmt: skip
    like = tasks.load(name, seed=seed)
    # Nothing is selected here: all rows are used, of published sets those for training.
    learned = join(_table(like.train), _table(like.val))
    rows = learned if evaluation else join(learned, _table(like.tests["iid"]))
    aside = 0 if evaluation else held_out
    if server:
        increments = class_increments(rows, sizes, held_out=aside, per_class=per_class, seed=seed)
        local, (served,) = increments.tasks, class_increments(_all(server[0], seed), [pretrained], seed=seed).tasks
    else:
        increments = class_increments(rows, [pretrained, *sizes], held_out=aside, per_class=per_class, seed=seed)
        served, *others = increments.tasks
        local = tuple(t.replace(y=t.columns["y"] - pretrained) for t in others)
    if evaluation:
        # As in the released code: the test set is the gallery, and the larger training set are the queries.
        found = tasks.load(evaluation[0], seed=seed)
        return Scenario(like, served, local, _table(found.tests["iid"]), join(_table(found.train), _table(found.val)))
    if increments.held_out is None:
        raise InputError("held_out is 0; without evaluation_tasks some classes must be kept for the gallery")
    y = increments.held_out.columns["y"]
    # Rows of a class lie together, in a random order: every second one is stored.
    place = torch.arange(len(y)) - torch.searchsorted(y, y)
    gallery, queries = (increments.held_out.take(torch.nonzero(place % 2 == i).flatten()) for i in (0, 1))
    return Scenario(like, served, local, gallery, queries)


def _all(name: str, seed: int) -> Table:
    """Return the training rows of a task, or of a data set of the hub with a column of images and one of labels."""
    parsed = parse(name)
    if parsed.kind != "hf" or "domain" in parsed.options:
        task = tasks.load(name, seed=seed)
        return join(_table(task.train), _table(task.val))
    from farfield.tasks.decode import count_channels, pixels
    from farfield.tasks.huggingface import pictures, read_dataset

    options = {"image": "image", "target": "label", "size": "32"} | dict(parsed.options)
    dataset = read_dataset(parsed)
    undecoded = pictures(dataset, options["image"], source=name)
    x = pixels(undecoded, size=int(options["size"]), channels=count_channels(undecoded))
    return Table(x=x, y=torch.as_tensor(list(dataset.with_format(None)[options["target"]])))


def _table(split: Any) -> Table:
    """Return inputs and classes of a split, images as they are stored."""
    if isinstance(split, Table):
        return Table(x=split.columns["x"], y=split.columns["y"])
    return Table(x=split[torch.arange(len(split))]["x"], y=column(split, "y"))
