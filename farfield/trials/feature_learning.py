"""Learning several features of an input at once, and what each of them then takes of the representation: one trial of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import measure, nn
from farfield.errors import InputError
from farfield.losses import FeatureLoss
from farfield.modules import load_object, source_hash
from farfield.names import parse
from farfield.study.stage import stage
from farfield.tasks import BooleanFeatures, ShapeColour
from farfield.tasks.coloured_digits import ColouredDigits
from farfield.tasks.labelled_features import LabelledFeatures
from farfield.tasks.task import Classes, Image, Task, Vector
from farfield.train import predict, train

ALPHAS = tuple(i / 4 for i in range(9))
COMPONENTS = 8


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train a network to tell an easy and a hard feature, and measure how strongly it represents each.

    **Arguments:** ``point``:
    - ``data``: "boolean" (with ``features``: name -> feature, see `BooleanFeatures`), "shapes" and "digits" (with ``size``), or the
      user's own ``module:function``, called as ``f(split, seed)`` with split "train" or "test", which returns `LabelledFeatures`;
    - ``easy``, ``hard``: names of two features; ``rows``, ``test_rows``; ``prevalence``: feature -> share of labels shown;
    - ``model``: a name as in `farfield.nn.load`; ``layer``: "" for what its last linear layer reads, else a layer as in
      `farfield.measure.activations`;
    - ``phases``: ("easy" or "hard" where that feature is learned alone, else "", steps) one after the other, none for an untrained network;
      ``optimizer``: "adam" or "sgd", ``learning_rate``, ``batch_size``, ``normalize`` (see `FeatureLoss`), ``device``;
    - ``measured``: how often R^2 and accuracy are taken during training, the last time at its end;
    - ``ceiling``: gaps are reported only where both held-out accuracies reach it.

    **Returns:** by feature (``easy_``, ``hard_``): ``r2``, ``accuracy``, and over training ``r2_curve``, ``absolute_curve`` (explained
    variance over the final total) and ``accuracy_curve``; per principal component ``pc_r2``; ``truncated`` accuracy against
    components kept; ``flips`` of its output pushed along its own direction and ``spill`` of the other output (binary
    features), at `ALPHAS` times the direction; ``joint_r2``, ``steps`` (of the curves), ``bits_r2`` (sum over the bits that make up the
    hard feature); ``association`` of the two labels (Cramer's V) and ``balance``; ``reliance`` on the easy feature of a new
    classifier; and at the ceiling ``gap`` (easy minus hard R^2), ``easy_minus_three_hard`` and ``easy_at_ceiling`` (its R^2).
    """
    data = make(point, "test", seed)
    names = (point["easy"], point["hard"])
    known = {name: f for name, f in data.features().items() if name in names}
    if len(known) < 2:
        raise InputError(
            f"the data have the features {', '.join(data.names)}; easy and hard are {names}, not two of them"
        )
    design = measure.feature_design(known)
    result = {"association": max(design.association.values()), "balance": min(design.balance.values())}
    if point["model"] == "inputs":
        return result | _shares(data.x.flatten(1), known, names, seed)
    kept = trained(**plain(point), seed=seed)
    model = build(point, data, seed)
    model.load_state_dict({k.removeprefix("state."): v for k, v in kept.items() if k.startswith("state.")})
    reps, outputs = represent(model, data, point)
    loss = FeatureLoss(data.classes)
    right = (loss.decide(outputs) == data.y).double().mean(0).tolist()
    accuracy = dict(zip(data.names, right))
    result |= _shares(reps, known, names, seed)
    result |= {f"{role}_accuracy": accuracy[name] for role, name in zip(("easy", "hard"), names)}
    result |= {name: kept[name].tolist() for name in kept if name.endswith("curve") or name == "steps"}
    if isinstance(data, BooleanFeatures):
        bits = {k: v for k, v in data.components().items() if k.startswith(point["hard"])}
        result["bits_r2"] = sum(measure.feature_variance(reps, bits, seed=seed).values()) if bits else result["hard_r2"]
    if not point["layer"] and hasattr(model, "head"):
        result |= _interventions(model, reps, data, loss, names)
    if min(accuracy[n] for n in names) >= point["ceiling"]:
        result["gap"] = result["easy_r2"] - result["hard_r2"]
        result["easy_at_ceiling"] = result["easy_r2"]
        result["easy_minus_three_hard"] = result["easy_r2"] - 3 * result["hard_r2"]
    return result


def _shares(reps: Tensor, known: Mapping[str, Tensor], names: Sequence[str], seed: int) -> dict[str, Any]:
    shares = measure.feature_variance(reps, known, seed=seed)
    found: dict[str, Any] = {f"{role}_r2": shares[name] for role, name in zip(("easy", "hard"), names)}
    both = torch.cat([torch_nn.functional.one_hot(f)[:, 1:] for f in known.values()], 1)
    found["joint_r2"] = measure.feature_variance(reps, {"both": both}, seed=seed)["both"]
    parts = measure.feature_variance_by_pc(reps, known, components=min(COMPONENTS, reps.shape[1]), seed=seed)
    found |= {f"{role}_pc_r2": parts.explained[name].tolist() for role, name in zip(("easy", "hard"), names)}
    if all(f.unique().numel() == 2 for f in known.values()):
        found["reliance"] = measure.shortcut_reliance(reps, *(known[n] for n in names))
    return found


def _interventions(
    model: torch_nn.Module, reps: Tensor, data: LabelledFeatures, loss: FeatureLoss, names: Sequence[str]
) -> dict[str, Any]:
    """Return what pushing along each feature and cutting off components does to the outputs of both."""
    at = [data.names.index(name) for name in names]
    half = len(reps) // 2
    cut = measure.pc_truncation_curve(
        model.head, reps, range(min(COMPONENTS, reps.shape[1]) + 1), labels=data.y, decide=loss.decide
    )
    found: dict[str, Any] = {f"{role}_truncated": cut[:, i].tolist() for role, i in zip(("easy", "hard"), at)}
    for role, own, other in zip(("easy", "hard"), at, reversed(at)):
        if data.classes[own] == 2:
            # The direction comes from other rows than those that are pushed.
            direction = measure.feature_direction(reps[:half], data.y[:half, own])
            values = data.y[half:, own]
            rates = measure.flip_curve(model.head, reps[half:], direction, ALPHAS, values=values, decide=loss.decide)
            found |= {f"{role}_flips": rates[:, own].tolist(), f"{role}_spill": rates[:, other].tolist()}
            found[f"{role}_length"] = float(direction.norm())
    return found


def make(point: Mapping[str, Any], split: str, seed: int) -> LabelledFeatures:
    """Return the training or the test data of a point; test data are factorial, and other draws than the training data."""
    rows, draw = point["rows" if split == "train" else "test_rows"], 2 * seed + (split == "test")
    if point["data"] == "boolean":
        features = {name: _tuples(feature) for name, feature in point["features"].items()}
        if split == "test":
            return BooleanFeatures(rows, features=features, factorial=True, seed=draw)
        return BooleanFeatures(rows, features=features, prevalence=point["prevalence"], seed=draw)
    if point["data"] == "shapes":
        return ShapeColour(rows, point["size"], seed=draw)
    if point["data"] == "digits":
        return ColouredDigits(split, point["size"], seed=seed)
    made = load_object(point["data"], kind="data")(split, seed)
    if not isinstance(made, LabelledFeatures):
        raise InputError(f"{point['data']} returned {type(made).__name__}; expected farfield.tasks.LabelledFeatures")
    return made


def _tuples(feature: Any) -> Any:
    # JSON knows lists only.
    return tuple(_tuples(part) for part in feature) if isinstance(feature, list | tuple) else feature


def build(point: Mapping[str, Any], data: LabelledFeatures, seed: int) -> torch_nn.Module:
    """Return the new network of a point: as many outputs as the data's features need."""
    rows = data.table()
    inputs = Image(*data.x.shape[1:]) if data.x.ndim == 4 else Vector(data.x.shape[1])
    task = Task(point["data"], rows, rows, {"iid": rows}, inputs, Classes(FeatureLoss(data.classes).outputs), ("here",))
    return nn.load(point["model"], task, seed=seed).to(point["device"])


@torch.no_grad()
def represent(model: torch_nn.Module, data: LabelledFeatures, point: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Return the representation (n, h) and the outputs (n, outputs) on all rows, dropout off."""
    if point["layer"]:
        reps = measure.activations(model, data.x, point["layer"], progress=False)[point["layer"]]
        return reps, predict(model, data.table())
    both = predict(_Both(model), data.table())
    outputs = FeatureLoss(data.classes).outputs
    return both[:, :-outputs], both[:, -outputs:]


class _Both(torch_nn.Module):
    """The model, with its features before its outputs."""

    def __init__(self, model: torch_nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(nn.features_and_logits(self.model, x), 1)


def plain(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return what training depends on, the arguments of `trained`, with hashes of the user's modules: changed, they train anew."""
    own = [name for name in (point["data"], point["model"]) if ":" in name and parse(name).kind == "module"]
    sources = {name: source_hash(parse(name).path) for name in own}
    return {"point": {k: v for k, v in point.items() if k not in ("cell", "ceiling")} | {"sources": sources}}


@stage
def trained(*, point: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """Return the state of a trained network (``state.``...), and its R^2 and accuracies over training."""
    data, test = make(point, "train", seed), make(point, "test", seed)
    model = build(point, data, seed)
    loss = FeatureLoss(data.classes, normalize=point["normalize"])
    optimizer = _optimizer(model, point)
    total = sum(steps for _, steps in point["phases"])
    times = _times(total, point["measured"])
    known = {role: test.features()[point[role]] for role in ("easy", "hard")}
    curve: dict[str, list[float]] = {f"{r}_{w}_curve": [] for r in known for w in ("r2", "absolute", "accuracy")}
    variance, steps_done, done = [], [], 0

    def look(step: int, network: torch_nn.Module, _: float) -> None:
        if done + step not in times:
            return
        reps, outputs = represent(network, test, point)
        shares = measure.feature_variance(reps, known, seed=seed)
        variance.append(measure.total_variance(reps, seed=seed))
        right = dict(zip(test.names, (loss.decide(outputs) == test.y).double().mean(0).tolist()))
        for role in known:
            curve[f"{role}_r2_curve"].append(shares[role])
            curve[f"{role}_absolute_curve"].append(shares[role] * variance[-1])
            curve[f"{role}_accuracy_curve"].append(right[point[role]])
        steps_done.append(done + step)

    for phase, (only, steps) in enumerate(point["phases"]):
        train(
            model,
            data.table(only=point[only] if only else None),
            lambda network, batch: loss(network(batch["x"]), batch["y"], batch["mask"]),
            optimizer,
            steps=steps,
            batch_size=point["batch_size"],
            seed=1000 * seed + phase,
            hooks=[look],
        )
        done += steps
    kept = {name: torch.tensor(values) for name, values in curve.items() if values}
    kept |= {name: v / variance[-1] for name, v in kept.items() if "absolute" in name}
    if steps_done:
        kept["steps"] = torch.tensor(steps_done)
    return kept | {f"state.{name}": value for name, value in model.state_dict().items()}


def _times(total: int, count: int) -> set[int]:
    """Return up to so many steps from the 50th to the last one, evenly on a logarithmic axis: most happens early."""
    if not total:
        return set()
    first = min(50, total)
    return {total} | {round(first * (total / first) ** (i / (count - 1))) for i in range(count - 1)}


def _optimizer(model: torch_nn.Module, point: Mapping[str, Any]) -> torch.optim.Optimizer:
    if point["optimizer"] == "adam":
        return torch.optim.Adam(model.parameters(), lr=point["learning_rate"], fused=True)
    if point["optimizer"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=point["learning_rate"], momentum=0.9)
    raise InputError(f"optimizer is {point['optimizer']!r}; it must be adam or sgd")


def similarities(point: Mapping[str, Any], seed: int, *, rows: int = 512) -> dict[str, float]:
    """Return how alike networks trained on both features, the easy one or the hard one are: Spearman's correlation of distances.

    Two networks of each kind, of different seeds, on the same inputs in the same order; pairs are always of different seeds.
    What the inputs themselves share counts too.
    """
    from scipy.stats import spearmanr

    inputs = make({**point, "test_rows": rows}, "test", 0)
    steps = point["phases"][-1][1]
    distances = {}
    for kind, only in (("both", ""), ("easy", "easy"), ("hard", "hard")):
        for number in (seed, seed + 1000):
            mine = {**point, "phases": [(only, steps)]}
            kept = trained(**plain(mine), seed=number)
            model = build(mine, inputs, number)
            model.load_state_dict({k.removeprefix("state."): v for k, v in kept.items() if k.startswith("state.")})
            reps = represent(model, inputs, mine)[0].double()
            distances[kind, number] = torch.pdist(reps).numpy()
    found: dict[str, list[float]] = {}
    for (a, first), x in distances.items():
        for (b, second), y in distances.items():
            if first == seed and second != seed:
                found.setdefault("-".join(sorted((a, b))), []).append(float(spearmanr(x, y).statistic))
    return {f"similarity_{pair}": sum(v) / len(v) for pair, v in found.items()}
