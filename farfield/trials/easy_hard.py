"""What a network learns from easy examples alone, and from hard ones alone: one trial of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from farfield import measure, nn, tasks
from farfield.methods.method import cross_entropy
from farfield.tasks.task import Table, column
from farfield.train import predict, train
from farfield.trials.memorization import as_task

KINDS = ("easy", "hard")


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Find easy and hard examples by networks that were not trained on them, and train a new network on each kind.

    **Arguments:**
    - ``point``: ``data``, ``model``, ``batch_size``, ``learning_rate``, ``momentum``, ``epochs``, ``device`` as in `farfield.trials.memorization.trial`;
      ``share``: of each class that is easy, and that is hard; ``runs``: pairs of networks that tell which, each trained on one half
      of the data for ``difficulty_epochs`` and asked about the other.
    - ``seed``: of halves, sets, initial weights and batches.

    **Returns:** ``easy_easy``, ``easy_hard``, ``hard_easy``, ``hard_hard``: test accuracy, trained on the first kind and tested on the second;
    ``easy_minus_hard``: easy_easy - hard_hard; ``hard_train``: training accuracy on the hard ones; ``examples`` in a set.
    """
    x, y = tasks.labelled_arrays(point["data"], seed=seed)
    everything = Table(x=x, y=y)
    difficulty = measure.example_difficulty(
        lambda run: _told_right(everything, point, seed * 1000 + run), point["difficulty_epochs"], point["runs"]
    )
    split = tasks.easy_hard_split(difficulty, y, share=point["share"], seed=seed)
    result: dict[str, Any] = {"examples": len(split.easy_train)}
    for kind in KINDS:
        rows = everything.take(getattr(split, f"{kind}_train"))
        *_, model = _epochs(rows, int(y.max()) + 1, point, seed * 1000 + 500, point["epochs"])
        for other in KINDS:
            result[f"{kind}_{other}"] = float(
                _right(model, everything.take(getattr(split, f"{other}_test"))).double().mean()
            )
        result[f"{kind}_train"] = float(_right(model, rows).double().mean())
    return result | {"easy_minus_hard": result["easy_easy"] - result["hard_hard"]}


def _told_right(rows: Table, point: Mapping[str, Any], seed: int) -> Iterator[Tensor]:
    """Yield after each epoch which rows are told right by a network that was trained on the half without them."""
    n = len(rows)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    halves = (order[: n // 2], order[n // 2 :])
    classes = int(column(rows, "y").max()) + 1
    epochs = point["difficulty_epochs"]
    runs = [_epochs(rows.take(half), classes, point, seed, epochs) for half in halves]
    for first, second in zip(*runs):
        right = torch.empty(n, dtype=torch.bool)
        for model, others in ((first, halves[1]), (second, halves[0])):
            right[others] = _right(model, rows.take(others))
        yield right


def _epochs(rows: Table, classes: int, point: Mapping[str, Any], seed: int, epochs: int) -> Iterator[torch.nn.Module]:
    """Train a new network by SGD; yield it after each epoch."""
    model = nn.load(point["model"], as_task(point["data"], rows, rows, classes), seed=seed).to(point["device"])
    sgd = torch.optim.SGD(model.parameters(), lr=point["learning_rate"], momentum=point["momentum"])
    steps = max(1, len(rows) // point["batch_size"])
    for epoch in range(1, epochs + 1):
        settings = {"steps": steps, "batch_size": point["batch_size"], "seed": seed * 1000 + epoch}
        train(model, rows, cross_entropy, sgd, **settings)
        yield model


def _right(model: torch.nn.Module, rows: Table) -> Tensor:
    return predict(model, rows).argmax(1) == column(rows, "y")
