"""A pretrained network and a little data: ways to use both, near and far. One trial of a study."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn.functional import cross_entropy, layer_norm

from farfield import nn
from farfield.compare.evaluate import score
from farfield.errors import unknown_name
from farfield.losses import DeepSupervisionLoss
from farfield.measure import ood_gap, spurious_reliance
from farfield.reuse import layer_features, lp_ft, output_ensemble, wise_ft
from farfield.study.stage import stage
from farfield.tasks.task import Split, Table, Task, column
from farfield.tasks.two_cue_digits import CUES, set_cue
from farfield.train import predict, train
from farfield.trials.pretrained_elsewhere import DIGITS, Setting, setting, start

# A seed that no trial has, with which learning rates are chosen.
TUNING_SEED = 1_000_003
METRICS = ("near", "far", "gap", "validation", "learning_rate", "parameters", "milliseconds")
UNDEFINED = dict.fromkeys((*METRICS, "reliance_pretraining", "reliance_fine_tuning"))
# What each kind of layer-wise ensemble changes.
JOINED: dict[str, dict[str, Any]] = {
    "levi": {},
    "levi-no-small": {"small": False},
    "levi-last-layer": {"layers": 1},
    "levi-learned": {"weights": "learned"},
    "levi-nested": {"nested": True},
}


@dataclass(frozen=True)
class Fit:
    """A model of raw inputs, in evaluation mode, with the number of parameters that were trained and the seconds it took."""

    model: torch_nn.Module
    parameters: int
    seconds: float


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Use a pretrained network in one way on a little data, and measure the result near and far.

    **Arguments:**
    - ``point``: ``task``, ``rows`` and ``model`` (see
      `farfield.trials.pretrained_elsewhere.setting`), ``least_rows`` (fewer are not tried), ``way``
      (of `WAYS`), ``steps``, ``batch_size``, ``rates`` (learning rates; the best on validation data
      of another seed is taken, for each way, task and number of rows), ``hidden``, ``layers``,
      ``pool``, ``small_width``, ``alpha`` (of weight interpolation), ``pretraining_steps``,
      ``device``.
    - ``seed``: of data, pretraining, new weights and batches.

    **Returns:** ``near``, ``far`` (accuracy; the mean over far tests), ``tests`` (by test),
    ``gap``, ``validation``, ``learning_rate``, ``parameters`` (trained), ``milliseconds`` (for each
    step, with all that is done before the first one); of the digits with cues
    ``reliance_pretraining`` and ``reliance_fine_tuning``: the accuracy lost when a cue that agrees
    with the label is drawn anew. What a task does not define, or has too few rows for, is None.
    """
    if point["way"] not in WAYS:
        raise unknown_name("way", point["way"], WAYS)
    found = (
        setting(point["task"], point["rows"], seed, point["model"]) if point["rows"] >= point["least_rows"] else None
    )
    if found is None:
        return dict(UNDEFINED)
    fit, rates = WAYS[point["way"]](point, found, seed)
    right = {name: _right(fit.model, split) for name, split in found.task.tests.items()}
    gap = ood_gap(right["iid"], {name: right[name] for name in found.task.far})
    return UNDEFINED | {
        "near": gap.near,
        "far": gap.near - gap.gap,
        "tests": {name: float(values.double().mean()) for name, values in right.items()},
        "gap": gap.gap,
        **(_reliance(fit.model, found.task, seed) if point["task"] == DIGITS else {}),
        "validation": score(fit.model, found.task.val).accuracy,
        "learning_rate": rates[-1],
        "parameters": fit.parameters,
        "milliseconds": 1000 * fit.seconds / point["steps"],
    }


def _alone(fitting: Callable[..., Fit], name: str) -> Callable[..., tuple[Fit, list[float]]]:
    """Return a way of one training, at the learning rate that is best for it."""

    def way(point: Mapping[str, Any], found: Setting, seed: int) -> tuple[Fit, list[float]]:
        rate = _rate(point, name)
        return fitting(point, found, seed, rate), [rate]

    return way


def _rate(point: Mapping[str, Any], name: str) -> float:
    """Return the learning rate with the highest accuracy on validation data, in a training with a seed of its own."""
    if len(point["rates"]) == 1:
        return point["rates"][0]
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in point.items() if k != "way"}
    scores = validation(point=plain, fitting=name)["accuracy"]
    return point["rates"][int(scores.argmax())]


@stage
def validation(*, point: dict[str, Any], fitting: str) -> dict[str, Tensor]:
    """Return the accuracy on validation data at each learning rate of a point."""
    found = setting(point["task"], point["rows"], TUNING_SEED, point["model"])
    fits = [FITTINGS[fitting](point, found, TUNING_SEED, rate) for rate in point["rates"]]
    return {"accuracy": torch.tensor([score(fit.model, found.task.val).accuracy for fit in fits])}


def _scratch(point: Mapping[str, Any], found: Setting, seed: int, rate: float) -> Fit:
    model = nn.small_model(found.task, width=point["small_width"], seed=seed).to(point["device"])
    return Fit(model.eval(), _count(model), _train(model, found.task.train, _classify, point, seed, rate))


def _fine_tuned(point: Mapping[str, Any], found: Setting, seed: int, rate: float) -> Fit:
    model = start(point, found, seed)
    return Fit(model.eval(), _count(model), _train(model, found.task.train, _classify, point, seed, rate))


def _probe(point: Mapping[str, Any], found: Setting, seed: int, rate: float, *, everything: bool = False) -> Fit:
    """Train one linear layer on the features of the last layer, or on those of all chosen layers, normalised, side by side."""
    model = start(point, found, seed)
    names = _layers(point, model, found.task)
    if everything:
        encoder: torch_nn.Module = _Normalised(_views(point, model, names, found.task))
    else:
        encoder = nn.Frozen(model.encoder)
    seconds, rows = _timed(lambda: predict(encoder, found.task.train))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = torch_nn.Linear(rows.shape[1], found.task.outputs.count).to(point["device"])
    seconds += _train(head, Table(x=rows, y=column(found.task.train, "y")), _classify, point, seed, rate)
    return Fit(nn.Classifier(encoder, head).eval(), _count(head), seconds)


def _probe_all(point: Mapping[str, Any], found: Setting, seed: int, rate: float) -> Fit:
    return _probe(point, found, seed, rate, everything=True)


def _probed_first(point: Mapping[str, Any], found: Setting, seed: int, rate: float, *, alpha: float = 1.0) -> Fit:
    """Train the head alone in half of the steps, then everything; with ``alpha`` below 1, go back part of the way."""
    model, probing = start(point, found, seed), point["steps"] // 2
    before: dict[str, Tensor] = {}

    def remember(step: int, model: torch_nn.Module, value: float) -> None:
        if step == probing:
            before.update({name: values.clone() for name, values in model.state_dict().items()})

    history = lp_ft(
        model,
        found.task.train,
        probe_steps=probing,
        steps=point["steps"] - probing,
        batch_size=point["batch_size"],
        learning_rate=rate,
        probe_learning_rate=max(rate, 1e-3),
        seed=seed,
        hooks=[remember],
    )
    model.load_state_dict(wise_ft(before, model.state_dict(), alpha))
    return Fit(model.eval(), _count(model), history.seconds)


def _interpolated(point: Mapping[str, Any], found: Setting, seed: int) -> tuple[Fit, list[float]]:
    rate = _rate(point, "lp-ft")
    return _probed_first(point, found, seed, rate, alpha=point["alpha"]), [rate]


def _ensemble(point: Mapping[str, Any], found: Setting, seed: int) -> tuple[Fit, list[float]]:
    """Average the probabilities of the fine-tuned network and of the small one, each at its own learning rate."""
    rates = [_rate(point, "ft"), _rate(point, "scratch")]
    fits = [fitting(point, found, seed, rate) for fitting, rate in zip((_fine_tuned, _scratch), rates)]
    joined = output_ensemble([fit.model for fit in fits]).eval()
    return Fit(joined, sum(fit.parameters for fit in fits), sum(fit.seconds for fit in fits)), rates


def _joined(
    point: Mapping[str, Any],
    found: Setting,
    seed: int,
    rate: float,
    *,
    small: bool = True,
    layers: int | None = None,
    weights: str = "uniform",
    nested: bool = False,
) -> Fit:
    """Train heads on the frozen network's layers, whose features are computed once, beside a small model."""
    model, task = start(point, found, seed), found.task
    names = _layers(point, model, task)[-layers if layers else None :]
    beside = nn.small_model(task, width=point["small_width"], seed=seed).encoder if small else None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        ensemble = nn.LayerwiseEnsemble(
            model,
            names,
            beside if beside is None else beside.to(point["device"]),
            out_dim=task.outputs.count,
            example=_example(task, point["device"]),
            hidden=point["hidden"],
            pool=point["pool"],
            weights=weights,
            nested=nested,
        ).to(point["device"])
    # Learned weights move by the loss of the ensemble alone.
    loss = DeepSupervisionLoss(cross_entropy, ensemble=1.0 if weights == "learned" else 0.0)

    def shared(ensemble: nn.LayerwiseEnsemble, batch: Mapping[str, Tensor]) -> Tensor:
        return loss(ensemble.from_features({name: batch[name] for name in names}, batch["x"]), batch["y"])

    seconds, features = _timed(lambda: layer_features(model, names, task.train, point["pool"]))
    x, y = (column(task.train, name) for name in ("x", "y"))
    seconds += _train(ensemble, Table(x=x, y=y, **features), shared, point, seed, rate)
    return Fit(ensemble.classifier().eval(), _count(ensemble), seconds)


def _variant(name: str) -> Callable[..., Fit]:
    return lambda point, found, seed, rate: _joined(point, found, seed, rate, **JOINED[name])


FITTINGS: dict[str, Callable[..., Fit]] = {
    "scratch": _scratch,
    "lp": _probe,
    "lp-all": _probe_all,
    "ft": _fine_tuned,
    "lp-ft": _probed_first,
    **{name: _variant(name) for name in JOINED},
}
WAYS: dict[str, Callable[..., tuple[Fit, list[float]]]] = {
    **{name: _alone(fitting, name) for name, fitting in FITTINGS.items()},
    "wise-ft": _interpolated,
    "ensemble": _ensemble,
}


def _train(model: torch_nn.Module, data: Split, loss: Any, point: Mapping[str, Any], seed: int, rate: float) -> float:
    """Train what needs a gradient by Adam and return the seconds it took; the model is in evaluation mode afterwards."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=rate, fused=parameters[0].device.type in ("cpu", "cuda"))
    history = train(model, data, loss, optimizer, steps=point["steps"], batch_size=point["batch_size"], seed=seed)
    model.eval()
    return history.seconds


def _classify(model: torch_nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    return cross_entropy(model(batch["x"]), batch["y"])


def _layers(point: Mapping[str, Any], model: torch_nn.Module, task: Task) -> list[str]:
    return nn.spread_layers(model, _example(task, point["device"]), count=point["layers"], within="encoder")


def _views(point: Mapping[str, Any], model: torch_nn.Module, names: list[str], task: Task) -> nn.LayerViews:
    return nn.LayerViews(model, names, None, example=_example(task, point["device"]), pool=point["pool"])


def _example(task: Task, device: str) -> Tensor:
    return task.train[torch.arange(2) % len(task.train)]["x"].to(device)


class _Normalised(torch_nn.Module):
    """Views of layers side by side, each with mean 0 and variance 1 within a row."""

    def __init__(self, views: nn.LayerViews):
        super().__init__()
        self.views = views

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([layer_norm(rows, rows.shape[1:]) for rows in self.views.features(x).values()], 1)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def _count(model: torch_nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _right(model: torch_nn.Module, split: Split) -> Tensor:
    return (predict(model, split).argmax(1) == column(split, "y")).float()


def _reliance(model: torch_nn.Module, task: Task, seed: int) -> dict[str, float]:
    """Return the accuracy that is lost when each cue, agreeing with the label with probability 0.9, is drawn anew."""
    near, found = task.tests["iid"], {}
    x, y = column(near, "x"), column(near, "y")
    for cue in CUES:
        generator = torch.Generator().manual_seed(seed)
        agreeing = set_cue(x, cue, generator, labels=y, agree=0.9)
        lost = spurious_reliance(model, agreeing, y, lambda x, g, cue=cue: set_cue(x, cue, g), repeats=3, seed=seed)
        found[f"reliance_{cue.replace('-', '_')}"] = lost
    return found
