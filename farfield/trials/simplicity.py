"""Training on data with a simple and a complex feature that both tell the class, and which of the two the network uses: one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import measure, methods, nn
from farfield.errors import InputError
from farfield.modules import load_object, source_hash
from farfield.names import parse
from farfield.reuse import LogitEnsemble
from farfield.study.stage import stage
from farfield.tasks import Dominoes, lms, ms
from farfield.tasks.task import Classes, Image, Table, Task, Vector
from farfield.train import predict, train

SLABS = ("lms-5", "ms-5-7", "noisy-lms-7", "ms-7")
DOMINOES = {"dominoes": ("mnist", "mnist", (0, 1), (4, 9)), "mnist-cifar": ("mnist-full", "cifar10", (0, 1), (1, 9))}
# How one network is trained; any other name is a method of `farfield compare`.
OPTIMIZERS = ("sgd", "momentum", "adam")
SINGLE = (*OPTIMIZERS, "wide", "deep", "adversarial")
# The control: what the features that are not the simplest teach a network where those say nothing.
COMPLEX_ONLY = "complex only"
MEMBERS = 3
# Scores in units of their standard deviation, for the histograms.
BINS = tuple(round(-4 + 0.25 * i, 2) for i in range(33))


@dataclass(frozen=True)
class Data:
    """What a trial learns from and is tested on: splits, features by group (the simplest group first), rotation, range of x.

    ``groups`` has one entry where all features are alike.
    """

    train: Table
    test: Table
    groups: dict[str, Any]
    rotation: Tensor | None
    clip: tuple[float, float] | None


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train by one method and measure which features the result relies on.

    **Arguments:** ``point``:
    - ``data``: "lms-5", "ms-5-7", "noisy-lms-7", "ms-7" (with ``dimensions``, ``noise``), "dominoes", "mnist-cifar" (with ``size``), or the user's
      own ``module:function``, called as ``f(split, seed)`` with split "train" or "test", which returns ``x, y, groups`` with the group
      of the simplest features first; ``rows``, ``test_rows``: of the built-in ones, of dominoes at most;
    - ``training``: "sgd", "momentum" (0.9), "adam", "wide" and "deep" (the networks ``wide``, ``deep``), "ensemble" (of 3), "adversarial"
      (trained on `farfield.measure.pgd`'s inputs), or the name of a method of `farfield compare`;
    - ``model``: a name as in `farfield.nn.load`; ``base``: the optimizer, one of the first three, of "wide", "deep", "ensemble" and "adversarial";
    - ``learning_rate`` (of SGD; Adam's is ``adam_rate``), ``weight_decay``, ``batch_size``, ``steps`` (``sgd_steps`` for "sgd"), ``device``;
    - ``repeats``: permutations; ``attack_eps``, ``attack_iters``: of adversarial training, L2; ``uap_eps``: L2 norm of universal perturbations.

    **Returns:** ``train_accuracy``, ``accuracy``, ``auc``; with the simple features randomized ``simple_auc``, ``simple_accuracy``, and ``chance``, the
    distance of that AUC to 0.5; with all others randomized ``complex_auc``, ``complex_accuracy``; ``swap_accuracy`` (simple features from the
    other class); of an L2 PGD attack (half of x's range, 20 steps) ``budget`` in the simple features and ``pgd_accuracy``;
    ``svd_accuracy`` and ``ascent_accuracy`` of universal perturbations; ``complex_only_auc``, where the training is ``base``: of a network
    that learned and is tested with the simple features randomized, so of what the others alone can teach it; ``gain`` of "ensemble" and "adversarial": their ``simple_auc`` minus that of
    the plain networks of the same seed; histograms of scores of class 1, shares per bin of `BINS`: ``scores``,
    ``simple_scores``, ``complex_scores``. Where all features are alike, only the accuracies, the AUC and the attacks.
    """
    data = make(point, seed)
    model = fit(point, data, seed).eval()
    # The attacks and randomized copies on the same rows, never seen in training.
    x, y = data.test.columns["x"].to(point["device"]), data.test.columns["y"].to(point["device"])
    result = {"train_accuracy": _accuracy(model, data.train[slice(0, 10_000)])} | _attacks(point, model, data, x, y)
    result |= {"accuracy": _accuracy(model, data.test[slice(None)])}
    if len(data.groups) < 2:
        result.pop("budget", None)
        return result | {"auc": measure.feature_reliance(model, x, y, data.groups, repeats=1).standard}
    simple = next(iter(data.groups))
    options = {"rotation": data.rotation, "seed": seed}
    found = measure.feature_reliance(model, x, y, data.groups, repeats=point["repeats"], **options)
    result |= {
        "auc": found.standard,
        "simple_auc": found.randomized[simple],
        "chance": abs(found.randomized[simple] - 0.5),
        "complex_auc": found.alone[simple],
    }
    at = torch.as_tensor(data.groups[simple])
    others = torch.arange(x[0].numel())
    others = others[~torch.isin(others, at.cpu())]
    copies = {
        "": x,
        "simple_": measure.randomize_features(x, at, **options),
        "complex_": measure.randomize_features(x, others, **options),
        "swap_": measure.randomize_features(x, at, how="swap", y=y, **options),
    }
    scores = {name: predict(model, Table(x=changed)) for name, changed in copies.items()}
    result |= {f"{name}accuracy": _right(s, y) for name, s in scores.items() if name}
    if scores[""].shape[1] == 2:
        result |= _histograms({n: s[:, 1] - s[:, 0] for n, s in scores.items() if n != "swap_"}, y.cpu() == 1)
    if point["training"] == point["base"]:
        control = network(point, data, COMPLEX_ONLY, seed)
        result["complex_only_auc"] = measure.randomized_auc(control, x, y, {simple: at}, repeats=1, **options)[simple]
    if point["training"] in ("ensemble", "adversarial"):
        plain = [network(point, data, point["base"], s) for s in _members(point, seed)]
        aucs = [
            measure.randomized_auc(m, x, y, data.groups, repeats=point["repeats"], **options)[simple] for m in plain
        ]
        result["gain"] = result["simple_auc"] - sum(aucs) / len(aucs)
    return result


def make(point: Mapping[str, Any], seed: int) -> Data:
    """Return the data of a point; the first ``test_rows`` rows are for testing, the noise is in both parts."""
    task, rows, test_rows = point["data"], point["rows"], point["test_rows"]
    if task in SLABS:
        n, d = rows + test_rows, point["dimensions"]
        made = {
            "lms-5": lambda: lms(5, d, n=n, seed=seed),
            "ms-5-7": lambda: ms(5, 7, d, n=n, seed=seed),
            "noisy-lms-7": lambda: lms(7, d, n=n, p_noise=point["noise"], seed=seed),
            "ms-7": lambda: ms(7, 7, d, n=n, seed=seed),
        }[task]()
        test, rest = torch.arange(test_rows), torch.arange(test_rows, n)
        return Data(made.table().take(rest), made.table().take(test), made.groups(), made.rotation, None)
    if task in DOMINOES:
        top, bottom, above, below = DOMINOES[task]
        size = point["size"] or None
        if task == "mnist-cifar":
            made, test_set = (
                Dominoes(top, bottom, above, below, size=size, official=part, seed=seed) for part in ("train", "test")
            )
            return Data(made.table(), test_set.table(), made.groups(), None, (0.0, 1.0))
        made = Dominoes(top, bottom, above, below, size=size, seed=seed)
        order = torch.arange(len(made))
        held_out = made.table().take(order[rows : rows + test_rows])
        return Data(made.table().take(order[:rows]), held_out, made.groups(), None, (0.0, 1.0))
    return _own(task, seed)


def _own(task: str, seed: int) -> Data:
    function = load_object(task, kind="data")
    parts = {}
    for split in ("train", "test"):
        found = function(split, seed)
        if not isinstance(found, Sequence) or len(found) != 3:
            raise InputError(f"{task} returned {type(found).__name__}; expected x, y and groups")
        x, y, groups = found
        parts[split] = Table(x=torch.as_tensor(x, dtype=torch.float32), y=torch.as_tensor(y, dtype=torch.long))
    if not groups:
        raise InputError(f"{task} returned no groups; expected name -> places of features, the simplest first")
    return Data(parts["train"], parts["test"], dict(groups), None, None)


def fit(point: Mapping[str, Any], data: Data, seed: int) -> torch_nn.Module:
    """Return the trained network, or ensemble, of a point."""
    method = point["training"]
    if method == "ensemble":
        return LogitEnsemble([network(point, data, point["base"], s) for s in _members(point, seed)])
    if method in SINGLE:
        return network(point, data, method, seed)
    model = build(point, data, method, seed)
    settings = {"steps": point["steps"], "batch_size": point["batch_size"], "seed": seed}
    return methods.load(method)(model, as_task(point, data), **settings).model


def _members(point: Mapping[str, Any], seed: int) -> list[int]:
    """Return the seeds of the weights and batches of plain networks on the data of this seed."""
    return [seed + 1000 * i for i in range(MEMBERS if point["training"] == "ensemble" else 1)]


def network(point: Mapping[str, Any], data: Data, method: str, seed: int) -> torch_nn.Module:
    """Return a trained network, computed once; ``seed`` is that of its data, plus 1000 for every further member of an ensemble."""
    model = build(point, data, method, seed)
    kept = trained(**_plain({**point, "training": method}), seed=seed)
    model.load_state_dict({name: value.to(point["device"]) for name, value in kept.items()})
    return model


def _plain(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return what training depends on, with hashes of the user's modules."""
    unused = {"repeats", "uap_eps"} | ({"attack_eps", "attack_iters"} if point["training"] != "adversarial" else set())
    own = [
        name
        for name in (point[n] for n in ("data", "model", "wide", "deep"))
        if ":" in name and parse(name).kind == "module"
    ]
    sources = {name: source_hash(parse(name).path) for name in own}
    return {"point": {name: value for name, value in point.items() if name not in unused} | {"sources": sources}}


@stage
def trained(*, point: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """Return the state of a network that was trained by one of `SINGLE`, or is the control `COMPLEX_ONLY`."""
    data, method = make(point, seed % 1000), point["training"]
    rows = data.train
    if method == COMPLEX_ONLY:
        simple = next(iter(data.groups.values()))
        x = measure.randomize_features(rows.columns["x"], simple, rotation=data.rotation, seed=seed)
        rows = rows.replace(x=x)
    model = build(point, data, method, seed)
    kind = method if method in OPTIMIZERS else point["base"]

    def loss(network: torch_nn.Module, batch: dict[str, Any]) -> Tensor:
        x = batch["x"]
        if method == "adversarial":
            eps, iters = point["attack_eps"], point["attack_iters"]
            x = measure.pgd(network, x, batch["y"], eps, 0.4 * eps, iters, clip=data.clip)
        return torch_nn.functional.cross_entropy(network(x), batch["y"])

    train(
        model,
        rows,
        loss,
        _optimizer(model, kind, point),
        steps=point["sgd_steps" if method == "sgd" else "steps"],
        batch_size=point["batch_size"],
        seed=seed,
    )
    return model.state_dict()


def _optimizer(model: torch_nn.Module, kind: str, point: Mapping[str, Any]) -> torch.optim.Optimizer:
    if kind not in OPTIMIZERS:
        raise InputError(f"base is {kind!r}; it must be one of {', '.join(OPTIMIZERS)}")
    if kind == "adam":
        return torch.optim.Adam(model.parameters(), point["adam_rate"], fused=True)
    momentum = 0.9 if kind == "momentum" else 0.0
    rate, decay = point["learning_rate"], point["weight_decay"]
    return torch.optim.SGD(model.parameters(), rate, momentum=momentum, weight_decay=decay, fused=True)


def build(point: Mapping[str, Any], data: Data, method: str, seed: int) -> torch_nn.Module:
    """Return the new network of a method."""
    name = point[method if method in ("wide", "deep") else "model"]
    return nn.load(name, as_task(point, data), seed=seed).to(point["device"])


def as_task(point: Mapping[str, Any], data: Data) -> Task:
    """Return the data as a task, a tenth of the training rows for validation."""
    x, y = (data.train.columns[name] for name in ("x", "y"))
    rows = data.train.replace(domain=torch.zeros(len(y), dtype=torch.long))
    n = max(1, len(y) // 10)
    inputs = Image(*x.shape[1:]) if x.ndim == 4 else Vector(x.shape[1])
    held_out = torch.arange(n), torch.arange(n, len(y))
    return Task(
        point["data"],
        rows.take(held_out[1]),
        rows.take(held_out[0]),
        {"iid": data.test},
        inputs,
        Classes(int(y.max()) + 1),
        ("here",),
    )


def _attacks(
    point: Mapping[str, Any], model: torch_nn.Module, data: Data, x: Tensor, y: Tensor, rows: int = 2000
) -> dict[str, float]:
    x, y = x[:rows], y[:rows]
    clip = data.clip or (float(x.min()), float(x.max()))
    span = clip[1] - clip[0]
    moved = measure.pgd(model, x, y, 0.5 * span, 0.05 * span, 20, clip=clip)
    delta, eps, signed = moved - x, point["uap_eps"], bool((y < 2).all())
    found = {"pgd_accuracy": _accuracy(model, {"x": moved, "y": y})}
    if delta.any():
        budget = measure.perturbation_budget(delta, data.groups, rotation=data.rotation)
        found["budget"] = next(iter(budget.values()))
        found["svd_accuracy"] = measure.svd_uap(model, x, y, delta, eps, clip=clip, signed=signed).accuracy
    ascent = measure.ascent_uap(model, x, y, eps, 0.1 * eps, 20, clip=clip, signed=signed)
    return found | {"ascent_accuracy": ascent.accuracy}


def _accuracy(model: torch_nn.Module, rows: Mapping[str, Tensor]) -> float:
    return _right(predict(model, Table(x=rows["x"])), rows["y"])


def _right(logits: Tensor, y: Tensor) -> float:
    return float((logits.argmax(1) == y.cpu()).double().mean())


def _histograms(scores: Mapping[str, Tensor], positive: Tensor) -> dict[str, list[float]]:
    """Return the share of class 1 in each bin of its scores; what lies beyond the last bins counts to them."""
    unit = scores[""].std()
    found = {}
    for name, values in scores.items():
        inside = (values[positive] / unit).clamp(BINS[0], BINS[-1] - 1e-6)
        counts = torch.histc(inside.float(), bins=len(BINS) - 1, min=BINS[0], max=BINS[-1])
        found[f"{name}scores"] = (counts / counts.sum()).tolist()
    return found
