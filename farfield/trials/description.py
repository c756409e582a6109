"""How many channels networks need to describe concepts, over image sets of growing complexity: one trial, of one set or of all."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import measure, nn, tasks
from farfield.modules import source_hash
from farfield.names import parse
from farfield.study.stage import stage
from farfield.tasks.complexity_ladder import LADDER
from farfield.tasks.task import Classes, Image, Table, Task, column
from farfield.train import predict, train

ALL, WORLD = "ladder", "world"
ORDERS = ("roa", "share", "random", "weighted")
# Attributes of one concept alone have a representativeness of 1e12: clipped for the figure.
CLIP = 6.0
# What training depends on, beside data, seed and sources.
TRAINING = ("rows", "model", "width", "maps", "epochs", "patience", "batch_size", "learning_rate", "images", "device")


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train a network on an image set and measure the descriptions that it needs of its classes; or fit a curve through all sets.

    **Arguments:** ``point``:
    - ``data``: a set of `farfield.tasks.complexity_ladder`, any name of `farfield.tasks.load` (images with classes); "ladder", the fit over the
      sets named in ``sets``; or "world", see `farfield.trials.concept_world`;
    - ``sets``: names, a list or separated by spaces; ``rows`` of each set of the ladder;
    - ``model``: "small" (`network` with ``width`` channels at its end) or a name of `farfield.nn.load`; ``maps``: the layer whose
      output (n, d, h, w), at least 0, is averaged and goes to the linear head ``head``;
    - ``epochs`` at most, ``patience``: epochs without a rise of the validation accuracy; ``batch_size``, ``learning_rate`` (Adam), ``device``;
    - ``images``: of each class, at most, for the attribute matrix; ``share``: of the full accuracy that a description must reach;
      ``repeats``: random orders; ``levels``: of grey, ``entropy_images``; ``least_accuracy``: sets below it are left out of the fit.

    **Returns:** of a set: ``accuracy`` (test), ``learnt`` (0 or 1), ``entropy`` (bits, mean over images) and ``entropy_spread`` (standard deviation),
    ``k/<order>``: mean channels needed, ``log_area`` (`farfield.measure.pooled_complexity`, its mean), ``gap`` (random minus representativeness), lists
    ``curve_<order>``, ``log_roa`` (base 10, clipped at 6). Of "ladder": ``learnt_sets``, ``smallest_gap``, ``concavity`` (minus the quadratic coefficient of ln K
    on ln entropy), ``inverted`` (the smaller of the slope at the left end and minus the slope at the right), ``peak`` (bits), ``two_lines`` (0 or 1),
    ``area_concavity`` and ``area_inverted`` by the published form of the complexity; None where fewer than 5 sets were learnt.
    """
    if point["data"] == WORLD:
        from farfield.trials import concept_world

        return concept_world.trial(point, seed)
    if point["data"] != ALL:
        return describe(point, point["data"], seed)
    found = [describe(point, name, seed) for name in set_names(point)]
    learnt = [f for f in found if f["learnt"]]
    result: dict[str, Any] = {
        "learnt_sets": len(learnt),
        "smallest_gap": min((f["gap"] for f in learnt), default=None),
        **dict.fromkeys(("concavity", "inverted", "peak", "two_lines", "area_concavity", "area_inverted")),
    }
    if len(learnt) < 5:
        return result
    x = torch.tensor([f["entropy"] for f in learnt]).double().log()
    fit = measure.inverted_u_test(x, torch.tensor([f["k"]["roa"] for f in learnt]).double().log())
    result |= {
        "concavity": -fit.quadratic,
        "inverted": min(fit.end_slopes[0], -fit.end_slopes[1]),
        "peak": None if fit.maximum is None else float(torch.tensor(fit.maximum).exp()),
        "two_lines": float(fit.two_lines is not None and fit.two_lines.inverted),
    }
    areas = torch.tensor([torch.nan if f["log_area"] is None else f["log_area"] for f in learnt], dtype=torch.float64)
    if torch.isfinite(areas).all():
        fit = measure.inverted_u_test(x, areas)
        result |= {"area_concavity": -fit.quadratic, "area_inverted": min(fit.end_slopes[0], -fit.end_slopes[1])}
    return result


def set_names(point: Mapping[str, Any]) -> list[str]:
    """Return the names of the sets that make the ladder."""
    return point["sets"].split() if isinstance(point["sets"], str) else list(point["sets"])


def describe(point: Mapping[str, Any], name: str, seed: int) -> dict[str, Any]:
    """Return what a trial says of one set."""
    kept = trained(point, name, seed)
    task = load_set(name, point["rows"], seed)
    classes = len(kept["weight"])
    raw = measure.attribute_matrix(kept["train/peaks"], kept["train/y"], count=classes)
    roa = measure.representativeness(raw)
    activity = measure.attribute_matrix(kept["train/means"], kept["train/y"], count=classes)
    generator = torch.Generator().manual_seed(seed)
    orders = {
        "roa": [roa],
        "share": [measure.attribute_given_concept(raw)],
        "random": [torch.rand(roa.shape, generator=generator) for _ in range(point["repeats"])],
        "weighted": [kept["weight"].double() * activity],
    }
    options = {"t": point["share"], "relative": True, "least": 2 / classes}
    k, curves = {}, {}
    for order, ranks in orders.items():
        each = [
            measure.description_curve(kept["test/means"], kept["test/y"], kept["weight"], r, bias=kept["bias"])
            for r in ranks
        ]
        curves[order] = torch.stack(each).mean(0)
        k[order] = _mean(torch.stack([measure.subjective_complexity(c, **options) for c in each]))
        if order == "roa":
            pooled = measure.pooled_complexity(each[0])
    x = task.tests["iid"][torch.arange(min(point["entropy_images"], len(task.tests["iid"])))]["x"]
    # Photographs in 0..1 and spectra alike: stretched, as in the paper.
    entropy = measure.image_entropy_2d(x, point["levels"], stretch=True)
    accuracy, finite = float(kept["accuracy"]), pooled[torch.isfinite(pooled)]
    return {
        "accuracy": accuracy,
        "learnt": float(accuracy >= point["least_accuracy"] and k["roa"] is not None),
        "entropy": float(entropy.mean()),
        "entropy_spread": float(entropy.std(correction=0)),
        "k": k,
        "gap": None if k["roa"] is None else k["random"] - k["roa"],
        "log_area": float(finite.mean()) if len(finite) else None,
        **{f"curve_{order}": curve.mean(0).tolist() for order, curve in curves.items()},
        "log_roa": roa[:50].clamp(10**-CLIP, 10**CLIP).log10().tolist(),
    }


def _mean(values: Tensor) -> float | None:
    found = values[~values.isnan()]
    return float(found.mean()) if len(found) else None


def load_set(name: str, rows: int, seed: int) -> Task:
    """Return an image set as a task: a set of the ladder, 5/8 of it to train on, 1/8 for validation, or any other task.

    >>> task = load_set("fixed", 64, 0)
    >>> len(task.train), len(task.val), len(task.tests["iid"])
    (40, 8, 16)
    """
    if name not in LADDER:
        return tasks.load(name, seed=seed)
    table = tasks.complexity_ladder(seed, rows=rows, only=[name])[name]
    order = torch.arange(len(table))
    table = table.replace(domain=torch.zeros(len(table), dtype=torch.long))
    cuts = 5 * len(table) // 8, 3 * len(table) // 4
    train_rows, val, test = (table.take(part) for part in torch.tensor_split(order, cuts))
    return Task(name, train_rows, val, {"iid": test}, Image(1, 28, 28), Classes(8), ("drawn",))


def network(task: Task, *, width: int = 48) -> torch_nn.Module:
    """Return a network of three 3x3 convolutions with BatchNorm and ReLU (16, 32, ``width`` channels, strides 2, 2, 1), average and head.

    >>> model = network(load_set("fixed", 64, 0), width=32)
    >>> model.encoder.maps(torch.zeros(2, 1, 28, 28)).shape, model.head
    (torch.Size([2, 32, 7, 7]), Linear(in_features=32, out_features=8, bias=True))
    """
    layers: list[torch_nn.Module] = []
    before = task.inputs.channels
    for after, stride in ((16, 2), (32, 2), (width, 1)):
        convolution = torch_nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        layers += [convolution, torch_nn.BatchNorm2d(after), torch_nn.ReLU()]
        before = after
    average = torch_nn.Sequential(torch_nn.AdaptiveAvgPool2d(1), torch_nn.Flatten())
    encoder = torch_nn.Sequential(OrderedDict(maps=torch_nn.Sequential(*layers), average=average))
    return nn.Classifier(encoder, torch_nn.Linear(width, task.outputs.count))


def fit(point: Mapping[str, Any], task: Task, seed: int) -> torch_nn.Module:
    """Return the network of a point, trained until its validation accuracy stops rising; the weights of its best epoch."""
    if point["model"] == "small":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            model = network(task, width=point["width"])
    else:
        task = nn.prepare(point["model"], task)
        model = nn.load(point["model"], task, seed=seed)
    model = model.to(point["device"])
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, point["learning_rate"])
    size = min(point["batch_size"], len(task.train))
    best, state, since = -1.0, model.state_dict(), 0
    for epoch in range(point["epochs"]):
        train(
            model,
            task.train,
            lambda m, batch: torch_nn.functional.cross_entropy(m(batch["x"]), batch["y"]),
            optimizer,
            steps=len(task.train) // size,
            batch_size=size,
            seed=1000 * seed + epoch,
        )
        right = accuracy_of(model, task.val)
        since += 1
        if right > best:
            best, state, since = right, copy.deepcopy(model.state_dict()), 0
        if since >= point["patience"]:
            break
    model.load_state_dict(state)
    return model


def accuracy_of(model: torch_nn.Module, split: Any) -> float:
    """Return the share of a split's rows that a model gets right."""
    return float((predict(model, split).argmax(1) == column(split, "y")).double().mean())


def pooled_maps(model: torch_nn.Module, x: Any, layer: str) -> tuple[Tensor, Tensor]:
    """Return the maximum and the mean over positions of a layer's maps: both (n, d), the first of the attribute matrix, the second of the head."""

    def both(maps: Tensor, _mask: Tensor | None) -> Tensor:
        return torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1)

    found = measure.activations(model, x, layer, pool=both, progress=False)[layer]
    return tuple(found.chunk(2, 1))


def first_of_each(y: Tensor, most: int) -> Tensor:
    """Return the places of the first ``most`` rows of every class, in order.

    >>> first_of_each(torch.tensor([1, 0, 1, 1, 0]), 2).tolist()
    [0, 1, 2, 4]
    """
    hot = torch.nn.functional.one_hot(y)
    return torch.nonzero(hot.cumsum(0)[torch.arange(len(y)), y] <= most).flatten()


def trained(point: Mapping[str, Any], name: str, seed: int) -> dict[str, Tensor]:
    """Return what is kept of a network on a set: pooled maps and labels of training and test images, head, accuracy."""
    settings = {key: point[key] for key in TRAINING}
    return described(data=name, settings=settings, sources=sources(point, [name], seed), seed=seed)


def sources(point: Mapping[str, Any], names: list[str], seed: int) -> list[str]:
    """Return hashes of the user's modules and data, so that a stage is computed anew where they change."""
    own = [v for v in (point["model"], *names) if ":" in v and parse(v).kind == "module"]
    data = [tasks.load(n, seed=seed).fingerprint for n in names if n not in LADDER]
    return [source_hash(parse(v).path) for v in own] + data


@stage
def described(*, data: str, settings: dict[str, Any], sources: list[str], seed: int) -> dict[str, Tensor]:
    """Train a network on a set and return what `trained` says."""
    task = load_set(data, settings["rows"], seed)
    model = fit(settings, task, seed)
    kept = {"accuracy": torch.tensor(accuracy_of(model, task.tests["iid"]))}
    head = model.head
    kept |= {"weight": head.weight, "bias": head.bias}
    for part, split in (("train", task.train), ("test", task.tests["iid"])):
        y = column(split, "y")
        # The matrix is made from a few training images, the curves from all test images: never from the same ones.
        rows = first_of_each(y, settings["images"]) if part == "train" else torch.arange(len(y))
        chosen = Table(x=split[rows]["x"], y=y[rows]) if len(rows) < len(y) else split
        kept[f"{part}/peaks"], kept[f"{part}/means"] = pooled_maps(model, chosen, settings["maps"])
        kept[f"{part}/y"] = y[rows]
    return kept
