"""A model that learns new classes task by task and is now and then replaced, while a gallery of vectors stays."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.losses.higher_order_compatibility import HOCLoss, compatible_total
from farfield.nn.classifier import Classifier
from farfield.nn.evaluating import evaluating
from farfield.nn.simplex import SimplexClassifier
from farfield.tasks.class_increments import Rehearsal, half_from_memory, join
from farfield.tasks.task import Table
from farfield.train import Loss, to_device, train


class UpdateMethod(Protocol):
    """How a model is updated by a task: `FixedSimplex`, `ExperienceReplay`, or your own with these two functions.

    >>> method: UpdateMethod = ExperienceReplay(alpha=1.0)
    >>> method.start(nn.Linear(2, 7), 7, None, seen=3).head.out_features
    3
    """

    def start(self, encoder: nn.Module, width: int, last: Classifier | None, seen: int) -> Classifier:
        """Return the model that a task starts from.

        **Arguments:** ``encoder``: inputs -> features (n, ``width``), a copy of the last model's, or of a new one;
        ``last``: the model that it goes on from, None at the first task and at a replacement; ``seen``: classes up to
        this task.
        """
        ...

    def loss(self, started: Classifier, last: Classifier | None) -> Loss:
        """Return ``loss(model, batch)`` for a task.

        **Arguments:** ``started``: a frozen copy of the model that it starts from; ``last``: the frozen model after
        the task before.
        """
        ...


@dataclass(frozen=True)
class FixedSimplex:
    """Train against a simplex that never changes, with the loss that keeps examples near to where they were.

    Local classes have the slots from the end, ``K - 1 - y``; slots from 0 are those of the pretrained models'
    classes. The model before, of the second loss, is the one that the task starts from: at a replacement the one that
    came, not the last one.

    **Fields:** ``num_classes``: K, of all models; ``hoc``: None for cross-entropy alone; ``lam``: weight of
    cross-entropy, see `farfield.losses.compatible_total`.

    Source: Biondi et al., CVPR 2024, sections 4 and 5.

    >>> FixedSimplex(8).start(nn.Linear(2, 7), 7, None, seen=3)(torch.zeros(1, 2)).shape
    torch.Size([1, 8])
    """

    num_classes: int
    hoc: HOCLoss | None = field(default_factory=HOCLoss)
    lam: float = 0.1

    def start(self, encoder: nn.Module, width: int, last: Classifier | None, seen: int) -> Classifier:
        """Return the encoder with the simplex. Raises InputError where slots or width do not fit."""
        if seen > self.num_classes:
            raise InputError(f"num_classes is {self.num_classes}, but {seen} classes were seen")
        if width != self.num_classes - 1:
            raise InputError(
                f"the encoder gives {width} features; a simplex of {self.num_classes} classes needs "
                f"{self.num_classes - 1}: add a linear layer, the junction"
            )
        return Classifier(encoder, SimplexClassifier(self.num_classes))

    def loss(self, started: Classifier, last: Classifier | None) -> Loss:
        """Return the loss of a batch."""

        def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
            z = model.features(batch["x"])
            ce = cross_entropy(model.head(z), self.num_classes - 1 - batch["y"])
            if self.hoc is None:
                return ce
            with torch.no_grad():
                before = started.features(batch["x"])
            return compatible_total(ce, self.hoc(z, before, batch["y"]), self.lam)

        return loss


@dataclass(frozen=True)
class ExperienceReplay:
    """Train a classifier that grows with the classes, without regard to vectors that are stored; with ``alpha``, BCT.

    The head is one linear layer, whose rows for known classes are kept when new ones come. At a replacement it starts
    anew: its rows belong to features of another model. BCT adds ``alpha`` times the cross-entropy of the new features
    in the last model's frozen head, over examples of the classes that it knows.

    **Fields:** ``alpha``: at least 0; ``seed``: of new rows of the head.

    Source: the baselines of Biondi et al., CVPR 2024, section 5; BCT of Shen et al., CVPR 2020.

    >>> ExperienceReplay().start(nn.Linear(2, 7), 7, None, seen=3)(torch.zeros(1, 2)).shape
    torch.Size([1, 3])
    """

    alpha: float = 0.0
    seed: int = 0

    def __post_init__(self):
        if not self.alpha >= 0:
            raise InputError(f"alpha is {self.alpha}; it must be at least 0")

    def start(self, encoder: nn.Module, width: int, last: Classifier | None, seen: int) -> Classifier:
        """Return the encoder with a head for all classes up to now."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(1000 * self.seed + seen)
            head = nn.Linear(width, seen)
        if last is not None:
            with torch.no_grad():
                head.weight[: last.head.out_features] = last.head.weight.cpu()
                head.bias[: last.head.out_features] = last.head.bias.cpu()
        return Classifier(encoder, head.to(next(encoder.parameters()).device))

    def loss(self, started: Classifier, last: Classifier | None) -> Loss:
        """Return the loss of a batch."""

        def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
            z, y = model.features(batch["x"]), batch["y"]
            ce = cross_entropy(model.head(z), y)
            if last is None or not self.alpha:
                return ce
            known = y < last.head.out_features
            if not known.any():
                return ce
            return ce + self.alpha * cross_entropy(last.head(z[known]), y[known])

        return loss


@dataclass(frozen=True)
class ModelReplacementRun:
    """The scenario of the paper (IAM-CL2R): tasks with new classes, replacements by pretrained models, a memory.

    At the tasks of ``replace_at`` the model is replaced by the next pretrained one, and learns the task from there;
    at the others it goes on from the last. From the second task on, half of each batch is from the memory. SGD with
    momentum 0.9 and a cosine starts anew with each task; weights decay, biases and scales do not.

    **Fields:**
    - ``pretrained``: encoders, inputs -> features (n, d), of equal d; copied, not changed. For `FixedSimplex`, d is
      K - 1, and they are trained against the same simplex with the slots from 0.
    - ``tasks``: tables with ``x`` and ``y``, new classes in each, numbered from 0 as
      `farfield.tasks.class_increments` does.
    - ``replace_at``: a task for each pretrained model, rising, the first 0.
    - ``method``; ``rehearsal``: examples kept of each class.
    - ``epochs``, ``batch_size``, ``learning_rate``, ``final_learning_rate``, ``weight_decay``: of each task. An epoch
      has as many batches as there are whole ones in the task's rows and the memory's, at least one.
    - ``augment``: batch of inputs -> batch of inputs; old and new model see the same. ``seed``: of memory and batches.

    Raises InputError where these do not fit together.

    Source: Biondi et al., CVPR 2024, section 5, with the settings of the notebooks of the released code. Differs from
    it in: the rate falls at each step, not each epoch. Mixed precision: ``with torch.autocast(...): run.models()``.

    >>> rows = [Table(x=torch.eye(4)[i : i + 2], y=torch.tensor([i, i + 1])) for i in (0, 2)]
    >>> run = ModelReplacementRun([nn.Linear(4, 7)], rows, [0], FixedSimplex(8), rehearsal=1, epochs=1)
    >>> [model(torch.eye(4)).shape for model in run.models()]
    [torch.Size([4, 7]), torch.Size([4, 7])]
    """

    pretrained: Sequence[nn.Module]
    tasks: Sequence[Table]
    replace_at: Sequence[int]
    method: UpdateMethod
    rehearsal: int = 20
    epochs: int = 70
    batch_size: int = 128
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    weight_decay: float = 5e-4
    augment: nn.Module | None = None
    seed: int = 0

    def __post_init__(self):
        if not len(self.tasks):
            raise InputError("tasks is empty; expected at least one")
        at = list(self.replace_at)
        if len(at) != len(self.pretrained):
            raise InputError(
                f"replace_at has {len(at)} tasks for {len(self.pretrained)} pretrained models; expected one each"
            )
        if not at or at[0] != 0 or at != sorted(set(at)) or at[-1] >= len(self.tasks):
            raise InputError(f"replace_at is {at}; it must rise from 0 and stay below the {len(self.tasks)} tasks")
        if min(self.epochs, self.batch_size - 1) < 1:
            raise InputError(f"epochs is {self.epochs}, batch_size {self.batch_size}; they must be at least 1 and 2")
        known = 0
        for t, task in enumerate(self.tasks):
            classes = task.columns["y"].unique().tolist()
            if classes != list(range(known, known + len(classes))):
                raise InputError(
                    f"tasks[{t}] has the classes {classes[0]} to {classes[-1]}; "
                    f"new ones numbered from {known} on are expected"
                )
            known += len(classes)

    def models(self) -> list[nn.Module]:
        """Return the encoder after each task, frozen, in evaluation mode: inputs -> vectors (n, d).

        Raises NonFiniteLoss where training diverges.
        """
        memory = Rehearsal(self.rehearsal, seed=self.seed)
        newcomers = dict(zip(self.replace_at, self.pretrained))
        last: Classifier | None = None
        seen, width, found = 0, None, []
        for t, task in enumerate(self.tasks):
            seen += len(task.columns["y"].unique())
            replaced = last is None or t in newcomers
            encoder = copy.deepcopy(newcomers[t] if replaced else last.encoder).requires_grad_(True)
            wide = _width(encoder, task)
            if width not in (None, wide):
                raise InputError(f"the model that comes at task {t} gives {wide} features, those before {width}")
            width = wide
            model = self.method.start(encoder, width, None if replaced else last, seen)
            self._learn(model, task, memory.table, self.method.loss(frozen(model), last), self.seed * 1000 + t)
            memory.add(task)
            last = frozen(model)
            found.append(last.encoder)
        return found

    def _learn(self, model: Classifier, task: Table, memory: Table | None, objective: Loss, seed: int) -> None:
        rows = task if memory is None else join(memory, task)
        steps = self.epochs * max(1, len(rows) // self.batch_size)
        batches = None if memory is None else half_from_memory(len(memory), len(task), self.batch_size, seed=seed)
        optimizer = sgd(model, self.learning_rate, self.weight_decay)
        least = self.final_learning_rate / self.learning_rate
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: least + (1 - least) * 0.5 * (1 + math.cos(math.pi * step / steps))
        )

        def loss(network: nn.Module, batch: dict[str, Any]) -> Tensor:
            return objective(network, batch if self.augment is None else {**batch, "x": self.augment(batch["x"])})

        train(
            model, rows, loss, optimizer, steps=steps, batch_size=self.batch_size, seed=seed, batches=batches,
            hooks=[lambda *_: schedule.step()],
        )  # fmt: skip


def sgd(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.SGD:
    """Return SGD with momentum 0.9: weights decay, biases and scales of normalisations (one dimension) do not.

    >>> [group["weight_decay"] for group in sgd(nn.Linear(2, 1), 0.1, 5e-4).param_groups]
    [0.0005, 0.0]
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD([g for g in groups if g["params"]], lr=learning_rate, momentum=0.9)


def frozen(model: Classifier) -> Classifier:
    """Return a copy of a model in evaluation mode that nothing trains.

    >>> any(p.requires_grad for p in frozen(Classifier(nn.Linear(2, 2), nn.Linear(2, 1))).parameters())
    False
    """
    return copy.deepcopy(model).requires_grad_(False).eval()


def _width(encoder: nn.Module, task: Table) -> int:
    """Return how many features an encoder gives on rows of a task. Raises InputError where they are no (n, d)."""
    device = next(encoder.parameters()).device
    with torch.no_grad(), evaluating(encoder):
        features = encoder(to_device(task[slice(0, 2)], device)["x"])
    if features.ndim != 2:
        raise InputError(f"an encoder gives {tuple(features.shape)} on two rows; expected features (n, d)")
    return features.shape[1]
