"""Embedding models that replace each other: each generation trained alone, or so that it still meets the gallery before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn.functional import cross_entropy, normalize

from farfield import nn, tasks
from farfield.augment import RandomShift
from farfield.errors import InputError
from farfield.losses import BackwardCompatibleLoss, BT2Loss
from farfield.reuse import pseudo_classifier
from farfield.study.stage import stage
from farfield.tasks.task import Classes, Image, Split, Table, Task, Vector
from farfield.train import predict, train

# What decides the weights of a generation, of all that a point holds.
SETTINGS = (
    "task", "upgrade_models", "classes", "old_classes", "dims", "scale", "logit_scale", "alpha", "label_smoothing", "epochs",
    "warmup_epochs", "batch_size", "learning_rate", "weight_decay", "shift", "targets", "test_rows", "device",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """How a generation is trained.

    **Fields:** ``loss``: "independent", "bct" or "bt2"; ``extra``: dimensions more than the generation before;
    ``rotate``: False leaves out Q of BT^2.
    """

    loss: str
    extra: int = 0
    rotate: bool = True


@dataclass(frozen=True)
class Generation:
    """A trained embedding model.

    **Fields:** ``test``: embeddings (n, d) of the test rows; ``y``: their classes; ``error``: of its rotations from
    orthogonality, None where there are none; ``weights`` of the network, without those of a frozen encoder.
    """

    test: Tensor
    y: Tensor
    error: float | None
    weights: Mapping[str, Tensor]


def generation(point: Mapping[str, Any], seed: int, kind: Kind, number: int) -> Generation:
    """Return a generation, from the store of stages where it was trained before.

    **Arguments:**
    - ``point``: ``task``; ``upgrade_models``: the name of each generation's model, whose encoder is taken; ``classes``:
      how many of the task's classes are used, None for all; ``old_classes``: those that the first generation learns,
      None for the first half; ``dims`` of an embedding; ``scale`` (C), ``logit_scale``; ``alpha`` and
      ``label_smoothing`` of BCT; ``epochs``, of which ``warmup_epochs`` before a cosine; ``batch_size``;
      ``learning_rate``, ``weight_decay`` of Adam; ``shift`` of training images in pixels; ``targets``: "cached", what
      the models before say of one view of each image, or "online", what they say of each view; ``test_rows``: at most;
      ``device``.
    - ``number``: 0 for the oldest, which is trained alone whatever ``kind`` says.
    """
    settings = {name: point[name] for name in SETTINGS}
    settings = {name: list(v) if isinstance(v, tuple) else v for name, v in settings.items()}
    if settings["targets"] not in ("cached", "online"):
        raise InputError(f"targets is {settings['targets']!r}; expected 'cached' or 'online'")
    # What comes later makes no difference to a generation.
    settings["upgrade_models"] = settings["upgrade_models"][: number + 1]
    kind = kind if number else Kind("independent")
    fingerprint = _task(point["task"], seed).fingerprint
    found = trained(kind=asdict(kind), number=number, seed=seed, fingerprint=fingerprint, **settings)
    weights = {k.removeprefix("weights."): v for k, v in found.items() if k.startswith("weights.")}
    return Generation(found["test"], found["y"], float(found["error"]) if "error" in found else None, weights)


@stage
def trained(
    *, kind: dict[str, Any], number: int, seed: int, fingerprint: str, task: str, **settings: Any
) -> dict[str, Tensor]:
    """Train a generation and return what `Generation` holds, as tensors by name.

    **Arguments:** as `generation`; ``kind``: the fields of a `Kind`; ``fingerprint``: of the task's data.
    """
    point, way = {"task": task, **settings}, Kind(**kind)
    network = _network(point, seed, way, number)
    loaded = _classes(point, seed)
    rows = loaded.train if number else _old(loaded, point)
    _fit(network, rows.to(settings["device"]), point, seed, way, number)
    test = loaded.tests["iid"].to(settings["device"])
    found = {"test": predict(network, test), "y": test.columns["y"].cpu()}
    if isinstance(network.head, nn.BasisTransformHead):
        found["error"] = torch.tensor(network.head.orthogonality_error())
    kept = (network.head if network.frozen else network).state_dict()
    return found | {f"weights.{name}": value for name, value in kept.items()}


class _Output(NamedTuple):
    """What a plain head makes of a batch: logits (n, classes), embedding (n, d) of length 1."""

    logits: Tensor
    embedding: Tensor


class _Plain(torch_nn.Module):
    """An embedding of length 1 and a classifier that reads it."""

    def __init__(self, width: int, dims: int, classes: int, logit_scale: float):
        super().__init__()
        self.embed = torch_nn.Linear(width, dims)
        self.classifier = torch_nn.Linear(dims, classes, bias=False)
        self.logit_scale = logit_scale

    def forward(self, x: Tensor) -> _Output:
        z = normalize(self.embed(x), dim=1)
        return _Output(self.logit_scale * self.classifier(z), z)


class _Network(torch_nn.Module):
    """An encoder and a head with logits and embedding; as a function, inputs -> embeddings (n, d)."""

    def __init__(self, encoder: torch_nn.Module, head: torch_nn.Module):
        super().__init__()
        self.encoder, self.head = encoder, head
        self.frozen = not any(p.requires_grad for p in encoder.parameters())

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x)).embedding


def _network(point: Mapping[str, Any], seed: int, kind: Kind, number: int) -> _Network:
    """Return a new network of a generation."""
    loaded = _classes(point, seed)
    rows = loaded.train if number else _old(loaded, point)
    classes = int(rows.columns["y"].max()) + 1
    # Generations start from other weights: from the same ones they would be compatible by accident.
    start, name = 1000 * seed + number, point["upgrade_models"][number]
    model = nn.load(name, replace(loaded, train=rows, outputs=Classes(classes)), seed=start)
    if not isinstance(model, nn.Classifier) or not isinstance(model.head, torch_nn.Linear):
        raise InputError(f"the model {name} must be a farfield.nn.Classifier with a linear head; its encoder is taken")
    width, dims, before = model.head.in_features, point["dims"], _width(point, kind, number - 1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(start)
        if kind.loss == "bt2":
            # What goes beyond the new feature's dimensions in the space before is on top of the extra ones.
            extra = kind.extra + before - dims
            head: torch_nn.Module = nn.BasisTransformHead(
                width, dims, before, classes, extra, point["scale"], point["logit_scale"]
            )
            if not kind.rotate:
                head.old_basis = torch_nn.Identity()
        else:
            head = _Plain(width, _width(point, kind, number), classes, point["logit_scale"])
    return _Network(model.encoder, head).to(point["device"])


def _width(point: Mapping[str, Any], kind: Kind, number: int) -> int:
    """Return the dimensions of a generation's embedding."""
    return point["dims"] + (kind.extra * number if number > 0 else 0)


def _fit(network: _Network, rows: Table, point: Mapping[str, Any], seed: int, kind: Kind, number: int) -> None:
    x, y, start = rows.columns["x"], rows.columns["y"], 1000 * seed + number
    move = RandomShift(point["shift"], seed=start) if point["shift"] else torch_nn.Identity()
    data, old, new = Table(x=x, y=y), None, None
    classifier = None
    if kind.loss != "independent":
        view = Table(x=move(x))
        old, new = _trained(point, seed, kind, number - 1), _trained(point, seed, Kind("independent"), number)
        phi_old = normalize(predict(old, view), dim=1).to(x.device)
        classifier = pseudo_classifier(phi_old, y, int(y.max()) + 1)
        data = data.replace(phi_old=phi_old, phi_new=predict(new, view).to(x.device))
    if network.frozen and not point["shift"] and point["targets"] == "cached":
        # A frozen encoder says the same at every step, so it is asked once.
        data = data.replace(x=predict(network.encoder, data).to(x.device))
        network = _Network(torch_nn.Identity(), network.head)
    online = (old, new) if point["targets"] == "online" else None
    objective = _objective(kind, classifier, point, move, online)
    steps = max(1, round(point["epochs"] * len(data) / point["batch_size"]))
    warmup = round(point["warmup_epochs"] * len(data) / point["batch_size"])
    optimizer = torch.optim.Adam(
        [p for p in network.parameters() if p.requires_grad],
        lr=point["learning_rate"],
        weight_decay=point["weight_decay"],
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, warmup))
    hooks = [lambda *_: schedule.step()]
    train(network, data, objective, optimizer, steps=steps, batch_size=point["batch_size"], seed=start, hooks=hooks)


def _objective(
    kind: Kind,
    classifier: Tensor | None,
    point: Mapping[str, Any],
    move: torch_nn.Module,
    online: tuple[_Network, _Network] | None,
) -> Callable[[_Network, dict[str, Tensor]], Tensor]:
    """Return the loss of a batch."""
    bct = bt2 = None
    if kind.loss == "bct":
        bct = BackwardCompatibleLoss(classifier, point["alpha"], point["label_smoothing"])
    elif kind.loss == "bt2":
        bt2 = BT2Loss(classifier)

    def loss(network: _Network, batch: dict[str, Tensor]) -> Tensor:
        x, y = move(batch["x"]), batch["y"]
        output = network.head(network.encoder(x))
        if bct is not None:
            # Of a longer vector the first coordinates meet the old gallery, whose rows have length 1.
            meeting = normalize(output.embedding[:, : classifier.shape[1]], dim=1)
            return bct(output.logits, meeting, y)
        if bt2 is None:
            return cross_entropy(output.logits, y)
        phi_old, phi_new = batch["phi_old"], batch["phi_new"]
        if online is not None:
            with torch.no_grad():
                phi_old, phi_new = (each(x) for each in online)
        return bt2(output, y, phi_old, phi_new)[0]

    return loss


def _trained(point: Mapping[str, Any], seed: int, kind: Kind, number: int) -> _Network:
    """Return the network of a generation as it was trained, frozen and in evaluation mode."""
    kind = kind if number else Kind("independent")
    network = _network(point, seed, kind, number)
    (network.head if network.frozen else network).load_state_dict(generation(point, seed, kind, number).weights)
    return network.requires_grad_(False).eval()


def _rate(step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak rate: a straight line up, then half a cosine down."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup)))


def _classes(point: Mapping[str, Any], seed: int) -> Task:
    """Return the task with the classes that are used, validation rows joined to the training rows: nothing is selected here."""
    task, count = _task(point["task"], seed), point["classes"]
    if not isinstance(task.inputs, Image | Vector):
        raise InputError(f"the task {task.name} has {task.inputs}; expected images or vectors")
    known = task.outputs.count
    if count is not None and not 2 <= count <= known:
        raise InputError(f"classes is {count}; the task {task.name} has {known}, so it must be from 2 to {known}")
    x, y = (torch.cat(parts) for parts in zip(_rows(task.train), _rows(task.val)))
    test_x, test_y = _rows(task.tests["iid"])
    kept = torch.from_numpy(np.random.default_rng([seed, 0xB72]).permutation(len(test_y)))
    kept = kept[test_y[kept] < (count or known)][: point["test_rows"]].sort().values
    used = y < (count or known)
    return replace(
        task,
        train=Table(x=x[used], y=y[used]),
        tests={"iid": Table(x=test_x[kept], y=test_y[kept])},
        outputs=Classes(count or known),
    )


def _old(task: Task, point: Mapping[str, Any]) -> Table:
    """Return the training rows of the first generation's classes, numbered anew."""
    x, y = task.train.columns["x"], task.train.columns["y"]
    chosen = range(task.outputs.count // 2) if point["old_classes"] is None else point["old_classes"]
    wanted = torch.tensor(sorted(chosen))
    kept = torch.isin(y, wanted)
    if len(wanted) < 2 or not torch.isin(wanted, y).all():
        raise InputError(f"old_classes is {list(chosen)}; expected two or more classes with rows to learn from")
    return Table(x=x[kept], y=torch.searchsorted(wanted, y[kept]))


def _rows(split: Split) -> tuple[Tensor, Tensor]:
    batch = split[torch.arange(len(split))]
    return batch["x"], batch["y"]


@lru_cache(maxsize=2)
def _task(name: str, seed: int) -> Task:
    # All ways of a seed ask for the same one.
    return tasks.load(name, seed=seed)
