"""One trial: a model learns class after class and is replaced by better ones, while its gallery stays."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn.functional import cross_entropy

from farfield import nn
from farfield.augment import RandomShift
from farfield.errors import InputError, unknown_name
from farfield.losses import HOCLoss
from farfield.measure import average_accuracy, average_compatibility, compatibility_matrix, compatibility_violations
from farfield.nn.resnet import Block
from farfield.reuse import ExperienceReplay, FixedSimplex, ModelReplacementRun
from farfield.reuse.model_replacement import sgd
from farfield.study.stage import stage
from farfield.tasks.task import Classes, Task
from farfield.train import train
from farfield.trials.replacement_scenario import Scenario, scenario

VARIANTS = ("er", "er-bct", "simplex-ce", "simplex-hoc", "simplex-hoc-removed")
# What decides a pretrained model, of all that a point holds.
PRETRAINING = (
    "task", "pretraining_tasks", "evaluation_tasks", "pretrained_classes", "first", "step", "tasks", "held_out",
    "per_class", "model", "num_classes", "dims", "pretraining_epochs", "pretraining_rate", "weight_decay", "batch_size",
    "shift", "flip", "device",
)  # fmt: skip


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Take a model through all tasks and replacements, in one way, and search its old galleries with its new vectors.

    **Arguments:**
    - ``point``: ``variant``, one of `VARIANTS`; ``task``, whose classes are learned; ``tasks``, how many times new
      ones come: ``first`` classes, then ``step`` each; ``replace_at``; ``pretrained_classes`` of each pretrained
      model; ``pretraining_tasks``, ``evaluation_tasks``: a list of one name, or empty, where other classes of
      ``task`` are taken, ``held_out`` of them for the evaluation; ``per_class``: rows of a class at most, None for
      all; ``rehearsal``; ``model``, whose encoder is taken; ``num_classes`` (K); ``dims`` of the features of a
      learned classifier, None for the encoder's own; ``pretraining_epochs``, ``pretraining_rate``; ``epochs``,
      ``learning_rate``, ``final_rate``, ``weight_decay``, ``batch_size``; ``mu``, ``lam``; ``alpha`` of BCT;
      ``shift`` in pixels and ``flip`` of training images; ``device``, ``mixed``.
    - ``seed``: of classes, networks and all draws.

    **Variants:** "er": experience replay, a classifier that is learned; "er-bct": with the last model's frozen
    classifier in the loss; "simplex-ce": against a fixed simplex; "simplex-hoc": with the higher-order loss, as
    released; "simplex-hoc-removed": where pairs of one class are left out of its sum.

    **Returns:** ``matrix`` C (None above the diagonal), ``ac`` from 0 to 1, ``am`` in %, ``am_by_task`` (over models
    up to each), ``last_row``; ``own``: mean of the diagonal; ``cross``: mean over pairs with a replacement between
    gallery and query, ``chance``, ``cross_less_chance`` and ``cross_by_chance``; ``violations``: ``same`` and
    ``different``, mean over models that follow each other, on the gallery; ``models``: their numbers, with a star
    where one came; ``replaced``: the numbers of those.
    """
    data = scenario(point, seed)
    method = _method(point, seed)
    kind = "simplex" if isinstance(method, FixedSimplex) else "learned"
    device = torch.device(point["device"])
    pretrained = [_pretrained(point, kind, number, seed) for number in range(len(point["pretrained_classes"]))]
    run = ModelReplacementRun(
        pretrained, [t.to(device) for t in data.local], list(point["replace_at"]), method, point["rehearsal"],
        epochs=point["epochs"], batch_size=point["batch_size"], learning_rate=point["learning_rate"],
        final_learning_rate=point["final_rate"], weight_decay=point["weight_decay"], augment=_augment(point, seed),
        seed=seed,
    )  # fmt: skip
    with torch.autocast(device.type) if point["mixed"] else nullcontext():
        models = run.models()
    queries, gallery = ((t[slice(None)]["x"].to(device), t.columns["y"]) for t in (data.queries, data.gallery))
    c = compatibility_matrix(models, queries, gallery)
    between = [
        (t, k) for t in range(len(c)) for k in range(t) if any(k < r <= t for r in point["replace_at"])
    ]  # fmt: skip
    chance = 1 / len(gallery[1].unique())
    cross = sum(float(c[pair]) for pair in between) / len(between) if between else None
    return {
        "matrix": [[float(c[t, k]) if k <= t else None for k in range(len(c))] for t in range(len(c))],
        "ac": average_compatibility(c) if len(c) > 1 else None,
        "am": average_accuracy(c),
        "am_by_task": [average_accuracy(c[: t + 1, : t + 1]) for t in range(len(c))],
        "last_row": c[-1].tolist(),
        "own": float(c.diagonal().mean()),
        "cross": cross,
        "chance": chance,
        "cross_less_chance": None if cross is None else cross - chance,
        "cross_by_chance": None if cross is None else cross / chance,
        "violations": _violations(models, *gallery),
        "models": [f"{t + 1}*" if t and t in point["replace_at"] else str(t + 1) for t in range(len(c))],
        "replaced": [t + 1 for t in point["replace_at"] if t],
    }


def _method(point: Mapping[str, Any], seed: int) -> FixedSimplex | ExperienceReplay:
    variant, slots = point["variant"], point["num_classes"]
    if variant not in VARIANTS:
        raise unknown_name("variant", variant, VARIANTS)
    if variant.startswith("er"):
        return ExperienceReplay(alpha=point["alpha"] if variant == "er-bct" else 0.0, seed=seed)
    needed = point["first"] + (point["tasks"] - 1) * point["step"] + max(point["pretrained_classes"])
    if needed > slots:
        raise InputError(f"num_classes is {slots}; pretrained models and tasks have {needed} classes")
    if variant == "simplex-ce":
        return FixedSimplex(slots, hoc=None)
    masked = "neg_inf" if variant == "simplex-hoc-removed" else "zero"
    return FixedSimplex(slots, HOCLoss(point["mu"], masked), point["lam"])


def _violations(models: list[torch_nn.Module], x: Tensor, y: Tensor) -> dict[str, float] | None:
    """Return the share of pairs that violate each inequality, mean over models that follow each other."""
    if len(models) < 2:
        return None
    with torch.no_grad():
        vectors = [torch.cat([model(part) for part in x.split(512)]).float() for model in models]
    found = [compatibility_violations(new, old, y) for old, new in pairwise(vectors)]
    return {name: sum(getattr(v, name) for v in found) / len(found) for name in ("same", "different")}


def _pretrained(point: Mapping[str, Any], kind: str, number: int, seed: int) -> torch_nn.Module:
    """Return a pretrained encoder, from the store of stages where it was trained before."""
    settings = {name: list(v) if isinstance(v := point[name], tuple) else v for name in PRETRAINING}
    data = scenario(point, seed)
    weights = pretrained_weights(kind=kind, number=number, seed=seed, fingerprint=data.like.fingerprint, **settings)
    encoder = _encoder(point, data, kind, number, seed)
    encoder.load_state_dict(weights)
    return encoder


@stage
def pretrained_weights(*, kind: str, number: int, seed: int, fingerprint: str, **point: Any) -> dict[str, Tensor]:
    """Train an encoder on the first classes of the server, and return its weights.

    **Arguments:** ``kind``: "simplex" or "learned", its classifier; ``number`` of the model; ``fingerprint`` of the
    data; ``point``: as `trial`.
    """
    data, count = scenario(point, seed), point["pretrained_classes"][number]
    rows = data.server.take(torch.nonzero(data.server.columns["y"] < count).flatten()).to(point["device"])
    start = 1000 * seed + number
    encoder = _encoder(point, data, kind, number, seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(start)
        fixed = kind == "simplex"
        head = nn.SimplexClassifier(point["num_classes"]) if fixed else torch_nn.Linear(encoder.width, count)
    model = nn.Classifier(encoder, head).to(point["device"])
    steps = point["pretraining_epochs"] * max(1, len(rows) // point["batch_size"])
    optimizer = sgd(model, point["pretraining_rate"], point["weight_decay"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    augment = _augment(point, start)

    def loss(network: torch_nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return cross_entropy(network(augment(batch["x"])), batch["y"])

    train(
        model, rows, loss, optimizer, steps=steps, batch_size=point["batch_size"], seed=start,
        hooks=[lambda *_: schedule.step()],
    )  # fmt: skip
    return encoder.state_dict()


class _Encoder(torch_nn.Sequential):
    """A backbone and, where its width does not fit, a linear layer: the junction of a simplex."""

    def __init__(self, backbone: torch_nn.Module, before: int, width: int):
        joined = before == width
        super().__init__(backbone, *([] if joined else [torch_nn.Linear(before, width, bias=False)]))
        self.width = width


def _encoder(point: Mapping[str, Any], data: Scenario, kind: str, number: int, seed: int) -> _Encoder:
    """Return a new encoder, from other weights for each model: the same ones may make them compatible by accident."""
    start = 1000 * seed + number
    count = int(data.server.columns["y"].max()) + 1
    like = replace(data.like, train=data.server, outputs=Classes(count))
    model = nn.load(point["model"], like, seed=start)
    if not isinstance(model, nn.Classifier) or not isinstance(model.head, torch_nn.Linear):
        raise InputError(
            f"the model {point['model']} must be a farfield.nn.Classifier with a linear head; its encoder is taken"
        )
    before = model.head.in_features
    width = point["num_classes"] - 1 if kind == "simplex" else point["dims"] or before
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(start)
        return _Encoder(model.encoder, before, width).to(point["device"])


class _Augment(torch_nn.Module):
    """Move images, and mirror half of them."""

    def __init__(self, shift: int, flip: bool, seed: int):
        super().__init__()
        self.shift = RandomShift(shift, seed=seed) if shift else torch_nn.Identity()
        self.flip, self.generator = flip, torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        if self.flip:
            chosen = (torch.rand(len(x), generator=self.generator) < 0.5).to(x.device)
            x = torch.where(chosen[:, None, None, None], x.flip(3), x)
        return self.shift(x)


def _augment(point: Mapping[str, Any], seed: int) -> _Augment:
    return _Augment(point["shift"], point["flip"], seed)


def mlp(task: Task, hidden: int = 192) -> nn.Classifier:
    """Return a perceptron of two hidden layers with batch normalisation, for small images.

    >>> from farfield import tasks
    >>> mlp(tasks.load("digits/rotation")).head
    Linear(in_features=192, out_features=10, bias=True)
    """
    before = task.inputs.channels * task.inputs.height * task.inputs.width
    layers: list[torch_nn.Module] = [torch_nn.Flatten()]
    for width in (before, hidden):
        layers += [torch_nn.Linear(width, hidden, bias=False), torch_nn.BatchNorm1d(hidden), torch_nn.ReLU()]
    return nn.Classifier(torch_nn.Sequential(*layers), torch_nn.Linear(hidden, task.outputs.count))


def resnet18(task: Task) -> nn.Classifier:
    """Return ResNet-18 for images of 32 pixels: 512 features, no pooling at the entrance.

    >>> from farfield import tasks
    >>> from farfield.tasks import Image
    >>> task = replace(tasks.load("digits/rotation"), inputs=Image(3, 32, 32))
    >>> resnet18(task).head
    Linear(in_features=512, out_features=10, bias=True)
    """
    before = 64
    entrance = torch_nn.Conv2d(task.inputs.channels, before, 3, padding=1, bias=False)
    layers: list[torch_nn.Module] = [entrance, torch_nn.BatchNorm2d(before), torch_nn.ReLU()]
    for after in (64, 128, 256, 512):
        layers += [Block(before, after, stride=1 if after == 64 else 2), Block(after, after)]
        before = after
    layers += [torch_nn.AdaptiveAvgPool2d(1), torch_nn.Flatten()]
    return nn.Classifier(torch_nn.Sequential(*layers), torch_nn.Linear(512, task.outputs.count))
