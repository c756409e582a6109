"""Networks whose last layer is read at several sizes: with all sizes trained at once, or one network for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import nn, tasks
from farfield.augment import RandomShift
from farfield.errors import InputError
from farfield.losses import MatryoshkaCrossEntropy
from farfield.study.stage import stage
from farfield.tasks.task import Image, Split, Table, Task, Vector
from farfield.tasks.transforms import rotate
from farfield.train import predict, train

# What decides the weights and features of a network, of all that a point holds.
SETTINGS = (
    "task", "model", "nesting", "hidden", "epochs", "batch_size", "learning_rate", "weight_decay", "label_smoothing",
    "shift", "noise", "degrees", "device",
)  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """A network's features and its heads.

    **Fields:** ``train``, ``test``: features (n, d); ``y_train``, ``y_test``: classes (n,); ``shifted``: features and
    classes of other tests, by name: the test rows under a shift, and the task's own far tests; ``head``: reads
    features.
    """

    train: Tensor
    y_train: Tensor
    test: Tensor
    y_test: Tensor
    shifted: Mapping[str, tuple[Tensor, Tensor]]
    head: nn.MatryoshkaLinear


def network(point: Mapping[str, Any], seed: int, kind: str, size: int | None = None) -> Trained:
    """Return a trained network, from the store of stages where it was trained before.

    **Arguments:**
    - ``point``: ``task``; ``model``, "mlp" or the name of a frozen encoder; ``nesting``; ``hidden``; ``epochs``,
      ``batch_size``, ``learning_rate`` (peak), ``weight_decay``, ``label_smoothing``; ``shift`` of training images in
      pixels; ``noise`` and ``degrees`` of the shifted tests; ``device``.
    - ``kind``: "mrl", "mrl-e" (one head for all sizes), or "ff": only the first ``size`` features are ever read.
    """
    settings = {name: point[name] for name in SETTINGS}
    settings["nesting"] = list(settings["nesting"])
    fingerprint = _task(point["task"], seed).fingerprint
    found = features(kind=kind, size=size, seed=seed, fingerprint=fingerprint, **settings)
    head = _head(kind, size, settings["nesting"], len(found["head.heads.0.weight"]))
    head.load_state_dict({k.removeprefix("head."): v for k, v in found.items() if k.startswith("head.")})
    others = [k.removeprefix("far.") for k in found if k.startswith("far.")]
    shifted = {name: (found[f"far.{name}"], found[f"y_far.{name}"]) for name in others}
    return Trained(
        found["train"], found["y_train"], found["test"], found["y_test"], shifted, head.requires_grad_(False)
    )


@stage
def features(
    *, kind: str, size: int | None, seed: int, fingerprint: str, task: str, nesting: list[int], **settings: Any
) -> dict[str, Tensor]:
    """Train a network and return its features, by name of the split, and the weights of its head.

    **Arguments:** as `network`; ``fingerprint``: of the task's data.
    """
    loaded = _task(task, seed)
    data = {label: split.to(settings["device"]) for label, split in _tables(loaded, settings, seed).items()}
    # The same encoder to begin with, whatever reads it.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        encoder = _encoder(data["train"].columns["x"], settings, nesting[-1], isinstance(loaded.inputs, Image))
        head = _head(kind, size, nesting, loaded.outputs.count)
    model = nn.Classifier(encoder, head).to(settings["device"])
    _fit(model, data["train"], size, settings, seed)
    z = {label: predict(model.encoder, table) for label, table in data.items()}
    # Copies: shifted tests share their classes, and a file of tensors may not.
    classes = {f"y_{label}": table.columns["y"].clone() for label, table in data.items()}
    return {**z, **classes, **{f"head.{name}": value for name, value in head.state_dict().items()}}


def _fit(model: nn.Classifier, data: Table, size: int | None, settings: Mapping[str, Any], seed: int) -> None:
    move = RandomShift(settings["shift"], seed=seed) if settings["shift"] else torch_nn.Identity()
    objective = MatryoshkaCrossEntropy(label_smoothing=settings["label_smoothing"])

    def loss(network: nn.Classifier, batch: dict[str, Tensor]) -> Tensor:
        z = network.features(move(batch["x"]))
        return objective(network.head(z) if size is None else [network.head.logits_at(z, size)], batch["y"])

    steps = max(1, round(settings["epochs"] * len(data) / settings["batch_size"]))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=settings["learning_rate"], momentum=0.9, weight_decay=settings["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings["learning_rate"], total_steps=steps + 1, cycle_momentum=False
    )
    train(
        model,
        data,
        loss,
        optimizer,
        steps=steps,
        batch_size=settings["batch_size"],
        seed=seed,
        hooks=[lambda *_: schedule.step()],
    )


def _head(kind: str, size: int | None, nesting: list[int], classes: int) -> nn.MatryoshkaLinear:
    return nn.MatryoshkaLinear(nesting if size is None else [size], classes, efficient=kind == "mrl-e")


def _encoder(x: Tensor, settings: Mapping[str, Any], width: int, images: bool) -> torch_nn.Module:
    """Return an MLP for images, a linear map for vectors, which are somebody's embeddings."""
    if settings["model"] != "mlp" or not images:
        return torch_nn.Linear(x.shape[1], width)
    layers: list[torch_nn.Module] = [torch_nn.Flatten()]
    before = x[0].numel()
    for units in (settings["hidden"], width):
        layers += [torch_nn.Linear(before, units), torch_nn.BatchNorm1d(units), torch_nn.ReLU()]
        before = units
    return torch_nn.Sequential(*layers)


def _tables(task: Task, settings: Mapping[str, Any], seed: int) -> dict[str, Table]:
    """Return train and test, the far tests, and for images the test under noise and rotation, as the encoder takes
    them.

    Nothing is selected here, so validation rows are for training, too.
    """
    task = task if settings["model"] == "mlp" else nn.prepare(settings["model"], task)
    train_x, train_y = (torch.cat(parts) for parts in zip(*(_rows(split) for split in (task.train, task.val))))
    test_x, test_y = _rows(task.tests["iid"])
    found = {"train": Table(x=train_x, y=train_y), "test": Table(x=test_x, y=test_y)}
    found |= {f"far.{name}": Table(**dict(zip("xy", _rows(task.tests[name])))) for name in task.far}
    if isinstance(task.inputs, Image):
        draws = torch.randn(test_x.shape, generator=torch.Generator().manual_seed(seed))
        found["far.noise"] = Table(x=(test_x + settings["noise"] * draws).clamp_(0, 1), y=test_y)
        found["far.rotation"] = Table(x=_turn(test_x, settings["degrees"]), y=test_y)
    if settings["model"] == "mlp":
        if not isinstance(task.inputs, Image | Vector):
            raise InputError(
                f"the task {task.name} has {task.inputs}; name a frozen encoder for it: --set model=hf:..."
            )
        return found
    frozen = nn.load(settings["model"], task, seed=seed)
    if not isinstance(frozen, nn.Classifier):
        raise InputError(f"the model {settings['model']} must be a farfield.nn.Classifier, whose encoder is taken")
    encoder = frozen.encoder.to(settings["device"])
    return {label: Table(x=predict(encoder, table), y=table.columns["y"]) for label, table in found.items()}


def _turn(images: Tensor, degrees: float) -> Tensor:
    """Rotate images; of one that is a row of squares, such as a pair of digits, each square by itself."""
    height, width = images.shape[2:]
    squares = images.split(height if width % height == 0 else width, dim=3)
    return torch.cat([rotate(square, degrees) for square in squares], dim=3)


def _rows(split: Split) -> tuple[Tensor, Tensor]:
    batch = split[torch.arange(len(split))]
    return batch["x"], batch["y"]


@lru_cache(maxsize=2)
def _task(name: str, seed: int) -> Task:
    # All ways of a seed ask for the same one.
    return tasks.load(name, seed=seed)
