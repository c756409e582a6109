"""Representations that do not lie in a file yet: the layers of a model, by name, on a task."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn as torch_nn

from farfield import nn, tasks
from farfield.compare import load_saved
from farfield.errors import InputError, unknown_name
from farfield.inspect.labels import Head, Labels
from farfield.inspect.read import Representation
from farfield.measure import activations, layer_names
from farfield.names import parse
from farfield.tasks.task import Table, Task, column

WHOLE_SETS = ("train", "val", "iid")


class Layers(NamedTuple):
    """The layers of models as representations, the labels of their rows, the classifier of each source, and notes."""

    representations: list[Representation]
    labels: Labels
    heads: dict[str, Head]
    notes: list[str]


def read_layers(
    models: Sequence[str],
    data: str,
    *,
    layers: Sequence[str] | None = None,
    pool: str = "mean",
    split: str = "iid",
    keep: Path | None = None,
    watch: Callable[[str], None] = lambda sentence: None,
) -> Layers:
    """Run models on one split of a task and return their layers.

    **Arguments:**
    - ``models``: names as for `farfield.nn.load`, or files that ``farfield compare --save`` wrote.
    - ``data``: a task; ``split``: "iid" (rows of the training domains that were set aside), "train", "val", or a far test.
    - ``layers``, ``pool``: as for `farfield.measure.activations`. None: the model's blocks, and what its head reads.
    - ``keep``: a folder to write the activations to and map them from, where they do not fit in memory.
    - ``watch``: called with a sentence before each model runs.

    Raises InputError where a name is unknown, or the model does not take the task's inputs.

    >>> read_layers(["linear"], "digits/noise", layers=["head"]).representations[0].name
    'linear/head'
    """
    twice = next((name for name in models if models.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"the model {twice} comes twice")
    task = _task(data)
    rows = _split(task, split)
    y = np.asarray(column(rows, "y"))
    labels = Labels(y, task.outputs.names, f"{task.name} ({split})")
    found, heads, notes = [], {}, []
    short = _short_names(models)
    for i, name in enumerate(models):
        model, prepared, trained = _load(name, task, rows)
        if not trained:
            notes.append(f"The weights of {name} were drawn from seed 0 and are not trained.")
        watch(f"running {name} on {len(rows):,} rows")
        head = getattr(model, "head", None)
        wanted = list(layers) if layers else _default(model)
        place = None if keep is None else keep / f"{i}-{short[i].replace('/', '_')}"
        made = activations(model, prepared, wanted, pool=pool, out=place, progress=False)
        made = made if layers else _different(made)
        for layer, values in made.items():
            part = layer or "output"
            found.append(Representation(f"{short[i]}/{part}", values, name, part))
            if layer == "head:input" and trained and isinstance(head, torch_nn.Linear):
                bias = None if head.bias is None else head.bias.detach().cpu()
                heads[found[-1].name] = Head(head.weight.detach().cpu(), bias, f"the head of {name}")
    notes.append(
        f"Rows: the split {split!r} of {task.name}, {len(rows):,} of them; outputs of several positions became rows by {pool!r}."
    )
    return Layers(found, labels, heads, [*notes, *task.notes])


def _task(data: str) -> Task:
    name = tasks.resolve(data)
    several = tasks.expand(name)
    if len(several) > 1 and parse(name).kind == "builtin":
        raise InputError(f"{data} is {len(several)} tasks; name one of them, such as {several[0]}")
    # A user's file with no test domain named: all domains, of which some rows are set aside.
    return tasks.load(name)


def _split(task: Task, split: str) -> Table:
    splits = {"train": task.train, "val": task.val, **task.tests}
    if split not in splits:
        raise unknown_name(f"split of {task.name}", split, splits)
    rows = splits[split]
    return rows if isinstance(rows, Table) else Table(**rows[slice(0, len(rows))])


def _load(name: str, task: Task, rows: Table) -> tuple[torch_nn.Module, Table, bool]:
    """Return the model, its rows as it takes them, and whether its weights are trained."""
    saved = Path(name)
    if saved.suffix == ".safetensors" or saved.with_name(saved.name + ".safetensors").is_file():
        model, card = load_saved(name)
        return model, nn.prepare_inputs(card["model"], rows, task.inputs), True
    prepared = nn.prepare(name, task)
    model = nn.load(name, prepared)
    trained = parse(name).kind != "builtin"
    return model, nn.prepare_inputs(name, rows, task.inputs), trained


def _default(model: torch_nn.Module) -> list[str]:
    names = layer_names(model)
    if isinstance(getattr(model, "head", None), torch_nn.Linear):
        names = [*(name for name in names if not name.startswith("head")), "head:input"]
    return names


def _different(made: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out layers that pass on what the one before gave, such as a dropout in evaluation, for the later one."""
    names = list(made)
    kept = [
        a for a, b in itertools.pairwise(names) if made[a].shape != made[b].shape or not torch.equal(made[a], made[b])
    ]
    return {name: made[name] for name in [*kept, names[-1]]}


def _short_names(models: Sequence[str]) -> list[str]:
    short = [Path(name.partition("?")[0]).name or name for name in models]
    return short if len(set(short)) == len(short) else list(models)
