"""Contrastive learning in which any two images are a pair, with a gate for each pair of classes or without: one trial."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn.functional import cross_entropy

from farfield import measure, tasks
from farfield.augment import ArbitraryPairs, ContrastiveView, RandomShift
from farfield.errors import InputError, unknown_name
from farfield.losses import GatedInfoNCE, InfoNCE, gate_binary_penalty
from farfield.tasks.task import Classes, Image, Split, Table, Task
from farfield.train import predict, train
from farfield.trials import pair_relations
from farfield.trials.pair_networks import GATED, build

OF_PAIRS = ("supcon", "arbitrary", *GATED, "random-gates")
WAYS = ("simclr", *OF_PAIRS, "supervised")
FROZEN = ("simclr", "pretrained")  # whose features are asked for subspaces
CURVE = 40  # points of the loss curve


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train an encoder in one way on some classes, and measure it, without gates, there and on classes it has not seen.

    **Arguments:**
    - ``point``: ``way``, see below; ``task``: a name as `farfield.tasks.load` takes it, of images or vectors;
      ``classes``: how many of its classes are learned from (None for 70 %), the others are for transfer; ``transfer_tasks``: tasks
      that are transferred to as well; ``model``: a name as `farfield.nn.load` takes it; ``projection``: layers
      between the encoder and the loss, ``dims`` its width; ``steps``, ``batch_size``, ``learning_rate`` of Adam;
      ``temperature``; ``combine`` (see `PairGate`), ``mask_shared``, ``symmetric`` (see `GatedInfoNCE`), ``eta``
      (weight of the binary penalty); of the view: ``crops`` (SimCLR's), or ``shift`` in pixels, ``intensity``,
      ``noise``; ``draws``: of held-out pairs and of few labels; ``shots``: labels of a class; ``test_rows`` of
      transfer at most; ``pairs``: of the frozen test, trained for ``gate_steps``; ``frozen_models``; ``device``.
    - ``seed``: of the split, the weights, batches and draws.

    Ways: "simclr" (two views of an image), "supcon" (two images of a class), "arbitrary" (any two images, all
    features), "hydra" (any two, a learned gate), "hydra-binary" (its gates pushed to 0 or 1), "random-gates" (a
    random half of the features for each pair of classes), "supervised" (cross-entropy), and "pretrained" (the first
    of ``frozen_models``, as it is).

    **Returns:** ``pair_loss`` (nats), ``pair_top1`` (0 to 1) of finding the partner among ``candidates`` in held-out
    pairs of any classes, in their own subspace where there is one; ``knn``: 1-NN accuracy on the learned classes;
    ``transfer_knn``, ``transfer_linear``: with few labels of other classes, ``transfer`` by task; ``effective_rank``
    of the held-out features (centred, not normalised) and ``log_spectrum`` (log10 of each direction's share of the
    variance, least -6); ``losses``: the training curve; ``subspace_gated``, ``subspace_ungated``,
    ``subspace_random``, ``subspace_gain`` and ``random_loss`` (ungated minus random) for frozen features; and what
    `pair_relations.describe` tells of gates. What a way does not define is None.

    Raises InputError on another way, or a task that cannot be split so.
    """
    way, loaded = point["way"], _task(point["task"], seed)
    if way not in (*WAYS, "pretrained"):
        raise unknown_name("way", way, (*WAYS, "pretrained"))
    here, others = split_classes(loaded, point["classes"])
    learner = build(point, here, seed).to(point["device"])
    losses = None
    if way != "pretrained":
        losses = _fit(learner, here.train, point, seed)
    encoder, test = learner["encoder"], here.tests["iid"]
    z, z_test = predict(encoder, here.train), predict(encoder, test)
    y, y_test = here.train.columns["y"], test.columns["y"]
    projected = predict(torch_nn.Sequential(encoder, learner["project"]), test)
    spectrum = measure.spectrum(z_test)
    return {
        **held_out_pairs(projected, y_test, learner["gate"], point, seed),
        "knn": measure.nested_knn(z, y, z_test, y_test, [z.shape[1]])[0],
        **_transfer(encoder, others, point, seed),
        "effective_rank": spectrum.effective_rank,
        "log_spectrum": spectrum.shares.clamp_min(1e-6).log10().tolist(),
        "losses": losses if way in OF_PAIRS and way != "supcon" else None,
        **_subspaces((z, y), (z_test, y_test), point, seed),
        **pair_relations.describe(learner["gate"] if way in GATED else None, projected, test, here.outputs.count, seed),
    }


def split_classes(task: Task, count: int | None) -> tuple[Task, tuple[Table, Table] | None]:
    """Return the task of the first ``count`` classes, and training and test rows of the others (None where there are none).

    **Arguments:** ``count``: at least 2; None takes 70 %.

    Validation rows are among the training rows: nothing is selected.

    Raises InputError where the task has fewer classes, or neither images nor vectors.
    """
    if not isinstance(task.inputs, Image | tasks.Vector):
        raise InputError(f"the task {task.name} has {task.inputs}; expected images or vectors")
    if count is None:
        count = max(2, round(0.7 * task.outputs.count))
    if not 2 <= count <= task.outputs.count:
        raise InputError(
            f"classes is {count}; the task {task.name} has {task.outputs.count}, so it must be from 2 to {task.outputs.count}"
        )
    learned, test = _joined(task.train, task.val), _joined(task.tests["iid"])
    here, here_test = (t.take((t.columns["y"] < count).nonzero().flatten()) for t in (learned, test))
    split = dataclasses.replace(
        task, train=here, val=here, tests={"iid": here_test}, outputs=Classes(count, task.outputs.names[:count])
    )
    if count == task.outputs.count:
        return split, None
    return split, tuple(t.take((t.columns["y"] >= count).nonzero().flatten()) for t in (learned, test))


def held_out_pairs(
    z: Tensor, y: Tensor, gate: torch_nn.Module, point: Mapping[str, Any], seed: int
) -> dict[str, float]:
    """Return how well partners are found among held-out pairs of any classes, the same pairs and candidates for every way.

    **Arguments:** ``z`` (n, d): projected rows; ``y``: their classes; ``gate``: of two labels. No row is its own
    partner, and candidates of a pair's own classes are left out.
    """
    loss = GatedInfoNCE(point["temperature"])
    pairs = ArbitraryPairs(fixed_points=False, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    size = min(point["batch_size"], len(y))
    values, right, kept = [], [], []
    device = next(gate.parameters(), torch.empty(0)).device
    for _ in range(point["draws"]):
        order = torch.randperm(len(y), generator=generator)
        # Batches of one size: chance depends on it.
        for rows in order[: len(order) // size * size].split(size):
            a, b = rows, rows[pairs(y[rows])]
            with torch.no_grad():
                gates = gate(y[a].to(device), y[b].to(device)).to(z)
            values.append(float(loss(z[a], z[b], gates, y[a], y[b])))
            for first, second in ((a, b), (b, a)):
                logits = loss.logits(z[first], z[second], gates, y[first], y[second])
                right.append(float((logits.argmax(1) == torch.arange(size)).double().mean()))
                kept.append(float(logits.isfinite().sum(1).double().mean()))
    mean = {"pair_loss": values, "pair_top1": right, "candidates": kept}
    return {name: sum(found) / len(found) for name, found in mean.items()}


def _fit(learner: torch_nn.ModuleDict, data: Table, point: Mapping[str, Any], seed: int) -> list[float]:
    """Train in place; return the loss in ``CURVE`` parts, each the mean of its steps."""
    rows = data.replace(row=torch.arange(len(data))).to(point["device"])
    # Without weight decay, which the table of labels must not have.
    optimizer = torch.optim.Adam(learner.parameters(), lr=point["learning_rate"], fused=True)
    objective = _objective(point, rows, seed)
    settings = {"steps": point["steps"], "batch_size": min(point["batch_size"], len(data)), "seed": seed}
    losses = torch.tensor(train(learner, rows, objective, optimizer, **settings).loss)
    return [float(part.mean()) for part in losses.tensor_split(min(CURVE, len(losses)))]


def _objective(point: Mapping[str, Any], data: Table, seed: int) -> Callable[[Any, dict[str, Tensor]], Tensor]:
    """Return the loss of a batch for a way; ``data``: all training rows, with their number in the column ``row``."""
    way, view = point["way"], _view(point, seed)
    if way == "supervised":
        return lambda model, batch: cross_entropy(model["head"](model["encoder"](view(batch["x"]))), batch["y"])
    views = InfoNCE(point["temperature"])
    gated = GatedInfoNCE(point["temperature"], point["mask_shared"], point["symmetric"])
    pairs = ArbitraryPairs("stratified", same_class=1.0, seed=seed) if way == "supcon" else ArbitraryPairs(seed=seed)
    eta = point["eta"] if way == "hydra-binary" else 0.0

    def loss(model: torch_nn.ModuleDict, batch: dict[str, Tensor]) -> Tensor:
        x, y = batch["x"], batch["y"]
        if way == "supcon":
            # Among all training rows: of many classes a batch holds one row only.
            x2, y2 = data[pairs(data.columns["y"])[batch["row"]]]["x"], y
        else:
            at = torch.arange(len(y), device=y.device) if way == "simclr" else pairs(y)
            x2, y2 = x[at], y[at]
        z1, z2 = model["project"](model["encoder"](torch.cat([view(x), view(x2)]))).chunk(2)
        if way == "simclr":
            return views(z1, z2)
        gates = model["gate"](y, y2)
        total = gated(z1, z2, gates, y, y2)
        return total + eta * gate_binary_penalty(gates) if eta else total

    return loss


class _View(torch_nn.Module):
    """Move images by whole pixels, multiply each by a number about 1, and add normal noise."""

    def __init__(self, shift: int, intensity: float, noise: float, seed: int):
        super().__init__()
        self.move = RandomShift(shift, seed=seed) if shift else torch_nn.Identity()
        self.intensity, self.noise = intensity, noise
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        factor = 1 + self.intensity * (2 * torch.rand(len(x), generator=self.generator) - 1)
        noise = self.noise * torch.randn(x.shape, generator=self.generator)
        return self.move(x) * factor.to(x).reshape(-1, *[1] * (x.ndim - 1)) + noise.to(x)


def _view(point: Mapping[str, Any], seed: int) -> torch_nn.Module:
    if point["crops"]:
        return ContrastiveView((0.2, 1.0), flip=0.5, jitter=0.5, grayscale=0.2, seed=seed)
    return _View(point["shift"], point["intensity"], point["noise"], seed)


def _transfer(
    encoder: torch_nn.Module, others: tuple[Table, Table] | None, point: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Return the mean accuracies with few labels on classes that were not learned from, and those by task."""
    sets = {} if others is None else {"other classes": others}
    for name in point["transfer_tasks"]:
        task = _task(name, seed)
        sets[name] = _joined(task.train, task.val), _joined(task.tests["iid"])
    found: dict[str, dict[str, float]] = {}
    for name, (learned, test) in sets.items():
        generator = torch.Generator().manual_seed(seed)
        test = test.take(torch.randperm(len(test), generator=generator)[: point["test_rows"]])
        z_test, y_test = predict(encoder, test), test.columns["y"]
        scores = []
        for _ in range(point["draws"]):
            order = torch.randperm(len(learned), generator=generator)
            y = learned.columns["y"][order]
            chosen = torch.cat([order[(y == c).nonzero().flatten()[: point["shots"]]] for c in y.unique()])
            few = learned.take(chosen)
            z, y = predict(encoder, few), few.columns["y"]
            nearest = measure.nested_knn(z, y, z_test, y_test, [z.shape[1]])[0]
            scores.append((nearest, measure.transfer_probe(z, y, z_test, y_test, (1.0,))))
        found[name] = {kind: sum(s) / len(s) for kind, s in zip(("knn", "linear"), zip(*scores))}
    if not found:
        return {"transfer_knn": None, "transfer_linear": None}
    mean = {f"transfer_{k}": sum(f[k] for f in found.values()) / len(found) for k in ("knn", "linear")}
    return mean | {"transfer": found}


def _subspaces(
    fit: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], point: Mapping[str, Any], seed: int
) -> dict[str, float | None]:
    names = ("subspace_gated", "subspace_ungated", "subspace_random", "subspace_gain", "random_loss")
    if point["way"] not in FROZEN:
        return dict.fromkeys(names)
    count = int(fit[1].max()) + 1
    every = torch.combinations(torch.arange(count))
    chosen = every[torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))[: point["pairs"]]]
    found = measure.subspace_separability(*fit, chosen, test=test, steps=point["gate_steps"], seed=seed)
    values = found.gated, found.ungated, found.random, found.gated - found.ungated, found.ungated - found.random
    return dict(zip(names, values))


def _joined(*splits: Split) -> Table:
    """Return the rows of splits as one table; bytes have become numbers from 0 to 1."""
    parts = [split[torch.arange(len(split))] for split in splits]
    kept = [name for name in parts[0] if all(isinstance(part.get(name), Tensor) for part in parts)]
    return Table(**{name: torch.cat([part[name] for part in parts]) for name in kept})


@functools.lru_cache(maxsize=8)
def _task(name: str, seed: int) -> Task:
    # All ways of a seed ask for the same one.
    return tasks.load(name, seed=seed)
