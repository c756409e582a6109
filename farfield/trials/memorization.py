"""How a network learns from labels of which some are wrong, and how far the gradients of its examples agree: one trial of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn.functional import cross_entropy

from farfield import measure, nn, optim, tasks
from farfield.errors import unknown_name
from farfield.methods.m3 import GroupLoss
from farfield.methods.method import cross_entropy as mean_cross_entropy
from farfield.methods.winsorized import ExampleGradients
from farfield.nn.per_example import batch_norms
from farfield.tasks.task import Classes, Image, Table, Task, Vector
from farfield.train import Loss, predict, train

OPTIMIZERS = ("sgd", "m3", "rm3", "winsorized")
# Looks within the first epoch, as parts of it.
EARLY = (0.0, 0.25, 0.5, 0.75, 1.0)


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train on noisy labels, and look at accuracies and at the coherence of gradients on the way.

    **Arguments:**
    - ``point``: ``data``: a name, see `farfield.tasks.labelled_arrays`; ``model``; ``optimizer``: one of `OPTIMIZERS`, with SGD as
      the base of all; ``c`` of "winsorized"; ``noise``: the fraction of training labels replaced by any class; ``rows``: training
      examples, at most two thirds of all; ``test_rows``: with their own labels; ``batch_size`` (rounded down to a multiple of 3 for "m3"),
      ``epochs``, ``learning_rate``, ``momentum``, ``looks``: how many, spread evenly over the logarithm of the epochs; ``sample``: examples
      whose gradients are compared, 0 for none; ``device``.
    - ``seed``: of rows, noise, initial weights and batches. All cells of a seed share them.

    **Returns:** ``noise``, ``c``, ``optimizer``; at the end ``train``, ``test``, ``pristine``, ``corrupt`` (accuracies; the latter two on training examples
    whose given label is the right one, or is wrong), ``best_test``, ``overfit`` (train accuracy beyond what one that knows the
    test accuracy's worth of right labels would have); ``early_coherence`` (m-coherence of the training sample, mean over the first
    epoch), ``peak_coherence`` (highest after it); ``pristine_share`` of the fall of the loss; ``pristine_lead`` (epochs from 90 % of
    the pristine to 90 % of the corrupt examples; where the latter is not reached, to the epoch after the last);
    ``corrupt_at_70`` and ``test_at_70`` (when the pristine first reach 70 %); ``epoch``, and the curves over it: ``..._curve``. What is not defined is None.
    """
    task, right, model = prepare(point, seed)
    given, inputs = task.train.columns["y"], task.train.columns["x"]
    pristine, n = given == right, len(given)
    optimizer, loss, batch_size = make_optimizer(point, model, n)
    looks = look_steps(point["epochs"], point["looks"], n / batch_size)
    few = slice(0, min(point["sample"], n))
    new = task.tests["iid"][few]
    rows: list[dict[str, Any]] = []

    def look(step: int, model: torch_nn.Module, _: float = 0.0) -> None:
        if step not in looks:
            return
        correct = predict(model, task.train).argmax(1) == given
        found = {
            "epoch": looks[step],
            "train": _mean(correct),
            "pristine": _mean(correct[pristine]),
            "corrupt": _mean(correct[~pristine]),
            "test": _mean(predict(model, task.tests["iid"]).argmax(1) == task.tests["iid"].columns["y"]),
        }
        if point["sample"]:
            ours = measure.gradient_coherence(model, _losses, inputs[few], given[few], groups="layer")
            layers = list(ours.per_group.values())
            found |= {
                "coherence": ours.m_coherence,
                "test_coherence": measure.gradient_coherence(model, _losses, new["x"], new["y"]).m_coherence,
                "first_layer": layers[0].m_coherence,
                "last_layer": layers[-1].m_coherence,
            }
            if pristine[few].any() and not pristine[few].all():
                share = measure.gradient_share(model, _losses, inputs[few], given[few], pristine[few])
                found["share"] = (share.share, share.squared_norm)
        rows.append(found)

    look(0, model)
    train(model, task.train, loss, optimizer, steps=max(looks), batch_size=batch_size, seed=seed, hooks=[look])
    result = {key: point[key] for key in ("noise", "optimizer", "c")} | summary(rows, point, task.outputs.count)
    return (
        result
        | {f"{key}_curve": [row.get(key) for row in rows] for key in CURVES}
        | {"epoch": [r["epoch"] for r in rows]}
    )


CURVES = ("train", "pristine", "corrupt", "test", "coherence", "test_coherence", "first_layer", "last_layer")


def summary(rows: list[dict[str, Any]], point: Mapping[str, Any], classes: int) -> dict[str, float | None]:
    """Return the numbers of a run from its looks, as `trial` names them.

    **Arguments:** ``rows``: a look each, with its epoch, accuracies and coherence; ``point``: with ``noise`` and ``epochs``.

    >>> look = {"train": 0.5, "pristine": 0.9, "corrupt": 0.1, "test": 0.8, "coherence": 2.0, "share": (0.7, 1.0)}
    >>> found = summary([look | {"epoch": 1.0}, look | {"epoch": 2.0}], {"noise": 0.5, "epochs": 2}, classes=10)
    >>> round(found["overfit"], 3), found["pristine_lead"], round(found["pristine_share"], 3)
    (0.05, 2.0, 0.7)
    """
    last, noise = rows[-1], point["noise"]
    learned = {key: next((r["epoch"] for r in rows if (r[key] or 0) >= 0.9), None) for key in ("pristine", "corrupt")}
    lead = None
    if learned["pristine"] is not None and last["corrupt"] is not None:
        lead = (learned["corrupt"] or point["epochs"] + 1) - learned["pristine"]
    shares = [r["share"] for r in rows if "share" in r]
    coherence = [(r["epoch"], r["coherence"]) for r in rows if "coherence" in r]
    return {key: last[key] for key in ("train", "pristine", "corrupt", "test")} | {
        "best_test": max(r["test"] for r in rows),
        "overfit": last["train"] - (noise / classes + (1 - noise) * last["test"]),
        "early_coherence": _average([value for epoch, value in coherence if epoch <= 1]),
        "peak_coherence": max((value for epoch, value in coherence if epoch > 1), default=None),
        "pristine_share": sum(f * w for f, w in shares) / sum(w for _, w in shares) if shares else None,
        "pristine_lead": lead,
        "corrupt_at_70": _when(rows, "corrupt", 0.7),
        "test_at_70": _when(rows, "test", 0.7),
    }


def prepare(point: Mapping[str, Any], seed: int) -> tuple[Task, Tensor, torch_nn.Module]:
    """Return the task with noisy training labels, the right ones (n,), and a new network."""
    x, y = tasks.labelled_arrays(point["data"], seed=seed)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    n = min(point["rows"], 2 * len(y) // 3)
    first, rest = order[:n], order[n : n + point["test_rows"]]
    classes = int(y.max()) + 1
    noisy, _ = tasks.with_label_noise(Table(x=x[first], y=y[first]), point["noise"], classes, seed)
    task = as_task(point["data"], noisy, Table(x=x[rest], y=y[rest]), classes)
    return task, y[first], nn.load(point["model"], task, seed=seed).to(point["device"])


def as_task(name: str, rows: Table, test: Table, classes: int) -> Task:
    """Return a task of these training and test rows.

    >>> rows = Table(x=torch.zeros(2, 3), y=torch.tensor([0, 1]))
    >>> as_task("mine", rows, rows, 2).inputs
    Vector(size=3)
    """
    x = rows.columns["x"]
    inputs = Image(*x.shape[1:]) if x.ndim == 4 else Vector(x.shape[1])
    return Task(name, rows, rows, {"iid": test}, inputs, Classes(classes), ("data",))


def make_optimizer(point: Mapping[str, Any], model: torch_nn.Module, n: int) -> tuple[torch.optim.Optimizer, Loss, int]:
    """Return the optimizer of a point, the loss that it needs, and the size of its batches."""
    size, kind = min(point["batch_size"], n), point["optimizer"]
    params, settings = list(model.parameters()), {"lr": point["learning_rate"], "momentum": point["momentum"]}
    if kind == "m3":
        m3 = optim.M3(params, torch.optim.SGD, **settings)
        return m3, GroupLoss(m3), size - size % m3.groups
    if kind == "winsorized":
        fixed = batch_norms(model)
        return optim.WinsorizedGrad(params, torch.optim.SGD, c=point["c"], **settings), ExampleGradients(fixed), size
    if kind == "rm3":
        return optim.RM3(params, torch.optim.SGD, **settings), mean_cross_entropy, size
    if kind != "sgd":
        raise unknown_name("optimizer", kind, OPTIMIZERS)
    return torch.optim.SGD(params, **settings), mean_cross_entropy, size


def look_steps(epochs: int, count: int, steps_per_epoch: float) -> dict[int, float]:
    """Return step -> epoch of the looks: five within the first epoch, then evenly over the logarithm of the epochs.

    >>> look_steps(4, 3, 10)
    {0: 0.0, 2: 0.25, 5: 0.5, 8: 0.75, 10: 1.0, 20: 2.0, 40: 4.0}
    """
    spread = [epochs ** (i / (count - 1)) for i in range(count)] if count > 1 else [epochs]
    later = sorted({float(round(epoch)) for epoch in spread} - {1.0})
    return {round(epoch * steps_per_epoch): epoch for epoch in (*EARLY, *later)}


def _losses(outputs: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(outputs, y, reduction="none")


def _mean(correct: Tensor) -> float | None:
    return float(correct.double().mean()) if len(correct) else None


def _average(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _when(rows: list[dict[str, Any]], key: str, level: float) -> float | None:
    """Return the accuracy ``key`` when that of the pristine examples first reaches a level, on the line between two looks."""
    for before, after in zip([None, *rows[:-1]], rows):
        if after["pristine"] is None or after[key] is None:
            return None
        if after["pristine"] >= level:
            if before is None:
                return after[key]
            at = (level - before["pristine"]) / (after["pristine"] - before["pristine"])
            return before[key] + at * (after[key] - before[key])
    return None
