"""The networks of a study of rich representations: many seeds of one run, and one run in many shapes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import nn, tasks
from farfield.reuse import Cat, Distill, snapshots
from farfield.study.stage import stage
from farfield.tasks.sources import area_average
from farfield.tasks.task import Table, column
from farfield.train import train


@dataclass(frozen=True)
class Halves:
    """A task's images, reduced, with its classes in two halves: to learn first (``source``), and new ones (``new``).

    **Fields:** tables with x and y from 0; ``train`` is what networks learn from, ``held`` labels that they have not seen,
    ``test``; of the new classes ``new`` (to probe with) and ``new_test``.
    """

    train: Table
    held: Table
    test: Table
    new: Table
    new_test: Table
    classes: int
    fingerprint: str


@functools.lru_cache(maxsize=2)
def halves(data: str, size: int, seed: int) -> Halves:
    """Return the images of a task reduced to a side of ``size``, its first half of classes apart from the second.

    The last two are kept in memory: every network of a trial asks for them.

    >>> parts = halves("digits", 8, seed=0)
    >>> parts.classes, sorted(parts.new.columns["y"].unique().tolist())
    (5, [0, 1, 2, 3, 4])
    """
    task = tasks.load(data, seed=seed)
    half = task.outputs.count // 2

    def part(split: Any, new: bool) -> Table:
        y = column(split, "y")
        rows = torch.nonzero((y >= half) & (y < 2 * half) if new else y < half).flatten()
        return Table(x=reduce(split[rows]["x"], size), y=y[rows] - half * new)

    iid = task.tests["iid"]
    return Halves(
        part(task.train, False),
        part(task.val, False),
        part(iid, False),
        part(task.train, True),
        part(iid, True),
        half,
        task.fingerprint,
    )


def reduce(images: Tensor, size: int) -> Tensor:
    """Return images (n, channels, h, w) in [0, 1] at a side of ``size``, averaged by area.

    >>> reduce(torch.ones(1, 1, 4, 4), 2).shape
    torch.Size([1, 1, 2, 2])
    """
    return images if images.shape[-1] == size else area_average(images, size, size).clamp_(0, 1)


def build(inputs: int, hidden: Sequence[int], classes: int, *, seed: int) -> nn.Classifier:
    """Return a perceptron on flattened images; its features are the last hidden layer.

    >>> build(4, (3, 2), 5, seed=0).head
    Linear(in_features=2, out_features=5, bias=True)
    """
    widths = [inputs, *hidden]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        layers: list[torch_nn.Module] = [torch_nn.Flatten()]
        for a, b in itertools.pairwise(widths):
            layers += [torch_nn.Linear(a, b), torch_nn.ReLU()]
        return nn.Classifier(torch_nn.Sequential(*layers), torch_nn.Linear(widths[-1], classes))


def same_features(hidden: Sequence[int], k: int) -> list[int]:
    """Return the layers of a network with k times the features of this one, and nothing else larger.

    >>> same_features((32, 16), 5)
    [32, 80]
    """
    return [*hidden[:-1], hidden[-1] * k]


def same_parameters(inputs: int, hidden: Sequence[int], k: int) -> list[int]:
    """Return the layers of a network with about k times the parameters up to its features, in the same proportion.

    >>> same_parameters(196, (32, 16), 5)
    [130, 65]
    """
    wanted = k * count([inputs, *hidden])
    # Parameters grow without end with the factor: halve the interval.
    low, high = 1.0, float(k) + 1
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if count([inputs, *(middle * h for h in hidden)]) < wanted else (low, middle)
    return [max(1, round(low * h)) for h in hidden]


def count(widths: Sequence[float]) -> float:
    """Return the parameters of a perceptron with these layers.

    >>> count([196, 32, 16])
    6832
    """
    return sum((a + 1) * b for a, b in itertools.pairwise(widths))


def single(point: Mapping[str, Any], seed: int, index: int) -> nn.Classifier:
    """Return the network of the i-th run, trained once for all trials of a seed."""
    return _load(point, seed, "single", index, point["hidden"])


def wide(point: Mapping[str, Any], seed: int, hidden: Sequence[int]) -> nn.Classifier:
    """Return one network with these layers, trained as a single one."""
    return _load(point, seed, "wide", 0, hidden)


def joint(point: Mapping[str, Any], seed: int, k: int) -> nn.Classifier:
    """Return k networks side by side, trained together as one."""
    return _load(point, seed, "joint", k, point["hidden"])


def snapshot(point: Mapping[str, Any], seed: int, index: int) -> nn.Classifier:
    """Return the i-th of five moments of one longer run at the constant rate; the first is where a single run ends."""
    return _load(point, seed, "snapshot", index, point["hidden"])


def distilled(point: Mapping[str, Any], seed: int, of: str, k: int, target: str) -> nn.Classifier:
    """Return one network that matches k of the kind ``of`` ("single" or "snapshot"); its head is empty where features are matched."""
    return _load(point, seed, f"distilled/{of}/{target}", k, point["hidden"])


def _load(point: Mapping[str, Any], seed: int, kind: str, index: int, hidden: Sequence[int]) -> nn.Classifier:
    plain = {key: point[key] for key in ("size", "steps", "batch_size", "learning_rate", "weight_decay")}
    parts = halves(point["task"], point["size"], seed)
    weights = network(
        **plain, data=point["task"], base=list(point["hidden"]), hidden=list(hidden), kind=kind, seed=seed,
        index=0 if kind == "snapshot" else index, fingerprint=parts.fingerprint
    )  # fmt: skip
    inputs = parts.train.columns["x"][0].numel()
    if kind == "snapshot":
        weights = {name.removeprefix(f"{index}."): w for name, w in weights.items() if name.startswith(f"{index}.")}
    return _fill(_empty(kind, index, inputs, hidden, parts.classes), weights)


def _empty(kind: str, index: int, inputs: int, hidden: Sequence[int], classes: int, *, seed: int = 0) -> nn.Classifier:
    if kind != "joint":
        return build(inputs, hidden, classes, seed=seed)
    trunks = [build(inputs, hidden, classes, seed=seed + i).encoder for i in range(index)]
    return nn.Classifier(Cat(trunks, freeze=False), build(hidden[-1] * index, (), classes, seed=seed).head)


def _fill(model: nn.Classifier, weights: Mapping[str, Tensor]) -> nn.Classifier:
    model.load_state_dict(weights)
    return model.eval()


@stage
def network(
    *,
    data: str,
    size: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    base: list[int],
    hidden: list[int],
    kind: str,
    index: int,
    seed: int,
    fingerprint: str,
) -> dict[str, Tensor]:
    """Return the weights of one network of the study, as a state dict; see the functions above for its kinds.

    Of snapshots all five are returned, with the prefixes ``0.`` to ``4.``.
    """
    parts = halves(data, size, seed)
    inputs = parts.train.columns["x"][0].numel()
    point = {
        "task": data, "size": size, "steps": steps, "batch_size": batch_size, "learning_rate": learning_rate,
        "weight_decay": weight_decay, "hidden": base,
    }  # fmt: skip
    own = 1000 * seed + index
    if kind == "snapshot":
        # The five are copies along one run, whose seed is that of no single run.
        own, extra = 1000 * seed + 500, max(1, steps // 4)
        moments = snapshots(
            lambda hook: _fit(build(inputs, hidden, parts.classes, seed=own), parts.train, _classify, point, own, steps + 4 * extra, hook),
            5, steps=steps + 4 * extra, start=steps - extra,
        )  # fmt: skip
        return {f"{i}.{name}": w for i, moment in enumerate(moments) for name, w in moment.state_dict().items()}
    if kind.startswith("distilled/"):
        _, of, target = kind.split("/")
        make = snapshot if of == "snapshot" else single
        teachers = [make(point, seed, i) for i in range(index)]
        student = build(inputs, hidden, parts.classes, seed=1000 * seed + 600)
        loss = Distill(
            student.encoder,
            [t if target == "logits" else t.encoder for t in teachers],
            target,
            example=parts.train[torch.arange(2)]["x"],
            seed=seed,
        )
        _fit(loss, parts.train, lambda model, batch: model(batch["x"]), point, 1000 * seed + 600, steps)
        student.head = loss.source_head() if target == "logits" else student.head
        return student.state_dict()
    model = _empty(kind, index, inputs, hidden, parts.classes, seed=own)
    _fit(model, parts.train, _classify, point, own, steps)
    return model.state_dict()


def _fit(
    model: torch_nn.Module,
    data: Table,
    loss: Callable,
    point: Mapping[str, Any],
    seed: int,
    steps: int,
    *hooks: Callable,
) -> None:
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad],
        lr=point["learning_rate"],
        momentum=0.9,
        weight_decay=point["weight_decay"],
        fused=True,
    )
    train(model, data, loss, optimizer, steps=steps, batch_size=point["batch_size"], seed=seed, hooks=hooks)


def _classify(model: torch_nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return torch_nn.functional.cross_entropy(model(batch["x"]), batch["y"])
