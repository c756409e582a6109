"""What is left of a representation where only its first dimensions are used: one trial of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import measure
from farfield.reuse import CascadeClassifier, FunnelIndex
from farfield.tasks.task import Table
from farfield.train import train
from farfield.trials.nested_networks import Trained, network

TRAINED = ("mrl", "mrl-e", "ff")
CUT = ("svd", "random", "prefix")
SEARCHES = ("adaptive", "funnel")
WAYS = (*TRAINED, *CUT, "cascade", *SEARCHES)
RANKS = (10, 25, 50, 100)
# What a way does not define is None, so that every claim finds its metric.
BY_SIZE = ("accuracy", "knn", "map", "dims", "macs", "accuracy_noise", "accuracy_rotation")
PLACES = {"smallest": 0, "second": 1, "third": 2, "fourth": 3, "full": -1}
UNDEFINED = ("cascade_gap", "cascade_dims", "search_gap", "saving", "oracle")


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Measure one way to have vectors of several sizes.

    **Arguments:**
    - ``point``: ``way``, one of `WAYS`; ``sizes``: at which it is measured, those of ``nesting`` and others; ``draws``:
      random choices of features; ``splits``: of the test rows into halves for a cascade's thresholds and its use;
      ``saving``: how many times fewer multiply-adds a search in stages may take; ``start``: dimensions of its first
      stage; ``probe_epochs`` of a new classifier and ``draw_epochs`` of one on random features; and what
      `farfield.trials.nested_networks.network` takes.
    - ``seed``: of the data, the networks and all draws.

    **Ways:** "mrl" and "mrl-e" train all sizes at once; "ff" trains a network for each size, of the same width, whose
    classifier reads the first features only; "svd", "random" and "prefix" keep the leading right singular vectors,
    random features and the first features of the full-size "ff", and read them by a new linear classifier; "cascade"
    goes up the sizes of "mrl" until it is sure; "adaptive" and "funnel" search by few dimensions of "mrl" and order by
    all, at once or in stages.

    **Returns:** by size ``accuracy`` (linear), ``knn`` (1-NN), ``map`` (mAP@10; more in ``retrieval``), ``dims`` used
    on average, ``macs`` (multiply-adds of a query); under shifts ``accuracy_noise``, ``accuracy_rotation`` and one for
    each far test of the task; each also as ``accuracy_at`` ... by the size's place in the nesting, see `PLACES`.
    ``dead``: features of the prefix that are 0 on all test rows; ``oracle`` and ``margin``; ``cascade_gap`` and
    ``search_gap`` to the full size; ``saving``. What a way does not define is None.
    """
    way, sizes, nesting = point["way"], list(point["sizes"]), list(point["nesting"])
    result: dict[str, Any] = {name: dict.fromkeys(map(str, sizes)) for name in BY_SIZE} | dict.fromkeys(UNDEFINED)
    if way == "ff":
        found = _each_alone(point, seed, nesting)
    elif way in CUT:
        found = _cut_afterwards(point, seed, sizes)
    else:
        trained = network(point, seed, "mrl-e" if way == "mrl-e" else "mrl")
        if way == "cascade":
            found = _cascade(point, seed, trained)
        elif way in SEARCHES:
            found = _search(point, trained)
        else:
            found = _nested(point, trained, sizes)
    for name, values in found.items():
        result[name] = result[name] | values if name in BY_SIZE else values
    for name in (n for n in BY_SIZE if n not in ("dims", "macs")):
        result[f"{name}_at"] = {
            place: result[name][str(nesting[i])] if i < len(nesting) else None for place, i in PLACES.items()
        }
    return result


def _nested(point: Mapping[str, Any], trained: Trained, sizes: Sequence[int]) -> dict[str, Any]:
    """All sizes of one network that was trained to be cut."""
    readable = sizes if trained.head.efficient else point["nesting"]
    logits = [trained.head.logits_at(trained.test, m) for m in readable]
    preds = torch.stack([each.argmax(1) for each in logits])
    result = _neighbours(trained.train, trained, trained.test, sizes)
    result["accuracy"] = dict(zip(map(str, readable), measure.nested_accuracy(logits, trained.y_test)))
    for shift, (z, y) in trained.shifted.items():
        scores = measure.nested_accuracy([trained.head.logits_at(z, m) for m in readable], y)
        result[f"accuracy_{shift}"] = dict(zip(map(str, readable), scores))
    result["dead"] = {str(m): _dead(trained.test[:, :m]) for m in sizes}
    result["oracle"] = measure.oracle_accuracy(preds, trained.y_test)
    result["margin"] = {str(m): float(measure.margin_score(each).mean()) for m, each in zip(readable, logits)}
    return result


def _each_alone(point: Mapping[str, Any], seed: int, nesting: Sequence[int]) -> dict[str, Any]:
    """A network for each size."""
    result: dict[str, Any] = {}
    for m in nesting:
        trained = network(point, seed, "ff", m)
        one = _neighbours(trained.train, trained, trained.test, [m])
        one["accuracy"] = {str(m): _accuracy(trained.head.logits_at(trained.test, m), trained.y_test)}
        for shift, (z, y) in trained.shifted.items():
            one[f"accuracy_{shift}"] = {str(m): _accuracy(trained.head.logits_at(z, m), y)}
        one["dead"] = {str(m): _dead(trained.test[:, :m])}
        for name, values in one.items():
            result[name] = result.get(name, {}) | values
    return result


def _cut_afterwards(point: Mapping[str, Any], seed: int, sizes: Sequence[int]) -> dict[str, Any]:
    """The full-size network, made smaller without training it anew."""
    width = point["nesting"][-1]
    trained = network(point, seed, "ff", width)
    z, z_test = trained.train, trained.test
    if point["way"] == "svd":
        # The best approximation of rank m lies in the first m right singular vectors (uncentred, as in the code).
        _, axes = torch.linalg.eigh((z.double().T @ z.double()).cpu())
        turn = axes.flip(1).to(z)
        z, z_test = z @ turn, z_test @ turn
    generator = torch.Generator().manual_seed(seed)
    result = {} if point["way"] == "random" else _neighbours(z, trained, z_test, sizes)
    accuracy = {}
    for m in point["nesting"]:
        choices = torch.arange(m)[None]
        if point["way"] == "random" and m < width:
            choices = torch.stack([torch.randperm(width, generator=generator)[:m] for _ in range(point["draws"])])
        epochs = point["draw_epochs" if len(choices) > 1 else "probe_epochs"]
        accuracy[str(m)] = _probe(z, trained.y_train, z_test, trained.y_test, choices, epochs, seed)
    sizes_used = {str(m): float(m) for m in point["nesting"]}
    return {**result, "accuracy": accuracy, "dims": sizes_used | result.get("dims", {})}


def _cascade(point: Mapping[str, Any], seed: int, trained: Trained) -> dict[str, Any]:
    """Go up the sizes until sure, with thresholds from one half of the test rows, on the other; mean over splits."""
    nesting = point["nesting"]
    probs = torch.stack([trained.head.logits_at(trained.test, m).softmax(1) for m in nesting])
    full = network(point, seed, "ff", nesting[-1])
    right_full = full.head.logits_at(full.test, nesting[-1]).argmax(1) == trained.y_test
    rng = np.random.default_rng([seed, 0xCA5])
    rows = []
    for _ in range(point["splits"]):
        order = torch.from_numpy(rng.permutation(len(trained.y_test)))
        fit, use = order[: len(order) // 2], order[len(order) // 2 :]
        cascade = CascadeClassifier().fit(probs[:, fit], trained.y_test[fit])
        seen = [_used(cascade, probs[:end, fit], trained.y_test[fit], nesting) for end in range(1, len(nesting) + 1)]
        held_out = [
            _used(cascade, probs[:end, use], trained.y_test[use], nesting) for end in range(1, len(nesting) + 1)
        ]
        # Where the cascade ends is chosen like its thresholds, on rows that are not reported.
        affordable = [i for i, (_, dims) in enumerate(seen) if dims <= nesting[-1] / 4]
        end = max(affordable, key=lambda i: seen[i][0])
        accuracy, dims = held_out[end]
        rows.append((accuracy - float(right_full[use].double().mean()), dims, held_out))
    gaps, dims, curves = zip(*rows)
    accuracies, used = np.array(curves).mean(0).T
    return {
        "accuracy": dict(zip(map(str, nesting), accuracies.tolist())),
        "dims": dict(zip(map(str, nesting), used.tolist())),
        "cascade_gap": float(np.mean(gaps)),
        "cascade_dims": float(np.mean(dims)),
    }


def _used(cascade: CascadeClassifier, probs: Tensor, y: Tensor, nesting: Sequence[int]) -> tuple[float, float]:
    labels, level = cascade.predict(probs)
    return float((labels == y).double().mean()), measure.expected_dimension(level, nesting)


def _search(point: Mapping[str, Any], trained: Trained) -> dict[str, Any]:
    """Search by the first dimensions and order by more, from each size on at twice the cost of the first search."""
    nesting, n = point["nesting"], len(trained.train)
    width = nesting[-1]
    whole = FunnelIndex(trained.train, width)
    best = _map(whole, trained, 10)
    # A start of more than an eighth would cost more than a quarter of the full search.
    starts: dict[int, float] = {m: 2 * m * n for m in nesting if 8 * m <= width}
    starts[point["start"]] = whole.macs / point["saving"]
    result: dict[str, Any] = {"map": {str(width): best}, "macs": {str(width): float(whole.macs)}, "dims": {}}
    for start, budget in starts.items():
        index = _staged(point["way"], trained.train, nesting, start, budget)
        result["map"][str(start)] = _map(index, trained, 10)
        result["macs"][str(start)] = float(index.macs)
        if start == point["start"]:
            result |= {"search_gap": result["map"][str(start)] - best, "saving": whole.macs / index.macs}
    return result


def _staged(way: str, db: Tensor, nesting: Sequence[int], start: int, budget: float) -> FunnelIndex:
    """Return a search within a number of multiply-adds, of which the stages after the first have equal shares."""
    dims = [m for m in nesting if m > start] if way == "funnel" else [nesting[-1]]
    share = (budget - start * len(db)) / len(dims)
    # At least the ten that are asked for.
    return FunnelIndex(db, start, dims, [int(min(len(db), max(10, share // m))) for m in dims])


def _map(index: FunnelIndex, trained: Trained, k: int) -> float:
    found, _ = index.search(trained.test, k)
    return measure.map_at_k(trained.y_train[found], trained.y_test, k)


def _neighbours(z: Tensor, trained: Trained, z_test: Tensor, sizes: Sequence[int]) -> dict[str, Any]:
    """Exact search among the training rows, at each size."""
    result: dict[str, Any] = {name: {} for name in ("knn", "map", "dims", "macs", "retrieval")}
    for m in sizes:
        index = FunnelIndex(z, m)
        ranks = [k for k in RANKS if k <= len(z)]
        labels = trained.y_train[index.search(z_test, ranks[-1])[0]]
        result["map"][str(m)] = measure.map_at_k(labels, trained.y_test, 10)
        result["macs"][str(m)], result["dims"][str(m)] = float(index.macs), float(m)
        result["retrieval"][str(m)] = {
            name: {str(k): score(labels, trained.y_test, k) for k in ranks}
            for name, score in (
                ("map", measure.map_at_k),
                ("precision", measure.precision_at_k),
                ("hit_rate", measure.hit_rate_at_k),
            )
        }
        result["knn"][str(m)] = measure.hit_rate_at_k(labels, trained.y_test, 1)
    return result


def _accuracy(logits: Tensor, y: Tensor) -> float:
    return measure.nested_accuracy([logits], y)[0]


def _dead(z: Tensor) -> int:
    return int((z == 0).all(0).sum())


class _Readers(torch_nn.Module):
    """Linear classifiers side by side, each on its own choice of standardised features, begun as discriminants."""

    def __init__(self, z: Tensor, y: Tensor, choices: Tensor):
        super().__init__()
        self.mean, spread = z.mean(0), z.std(0)
        # A feature that never varies tells nothing.
        self.scale = torch.where(spread > 0, 1 / spread, 0.0)
        self.choices = choices  # (readers, m)
        units, counts = (z - self.mean) * self.scale, y.bincount().clamp(min=1)
        centres = torch.zeros(len(counts), z.shape[1], device=z.device).index_add_(0, y, units) / counts[:, None]
        apart = units - centres[y]
        within = (apart.T @ apart / len(z) + 1e-3 * torch.eye(z.shape[1], device=z.device))[
            choices[:, :, None], choices[:, None]
        ]
        means = centres[:, choices].permute(1, 2, 0)  # (readers, m, classes)
        weight = torch.linalg.solve(within, means)
        self.weight = torch_nn.Parameter(weight)
        self.bias = torch_nn.Parameter((counts / len(z)).log() - (weight * means).sum(1, keepdim=True) / 2)

    def forward(self, z: Tensor) -> Tensor:
        x = ((z - self.mean) * self.scale)[:, self.choices].transpose(0, 1)  # (readers, n, m)
        return torch.baddbmm(self.bias, x, self.weight)


def _probe(z: Tensor, y: Tensor, z_test: Tensor, y_test: Tensor, choices: Tensor, epochs: float, seed: int) -> float:
    """Return the test accuracy of logistic regression on each choice of features, mean over the choices."""
    readers = _Readers(z, y, choices)
    steps = max(1, round(epochs * len(z) / 256))
    optimizer = torch.optim.Adam(readers.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def loss(model: torch_nn.Module, batch: dict[str, Tensor]) -> Tensor:
        # A sum over readers: each has the gradient that it would have alone.
        logits = model(batch["x"])
        picked = logits.gather(2, batch["y"].expand(len(logits), -1)[..., None])[..., 0]
        return (logits.logsumexp(2) - picked).mean(1).sum()

    rows = Table(x=z, y=y)
    train(readers, rows, loss, optimizer, steps=steps, batch_size=256, seed=seed, hooks=[lambda *_: schedule.step()])
    with torch.no_grad():
        right = [(readers(part).argmax(2) == labels) for part, labels in zip(z_test.split(512), y_test.split(512))]
    return float(torch.cat(right, 1).double().mean())
