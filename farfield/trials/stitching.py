"""Networks trained apart on one task, and what becomes of them when they exchange decoders and heads: one trial of a study."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn.functional import cross_entropy, mse_loss

from farfield import measure, nn, tasks
from farfield.nn.relative import RelativeEncoder, RelativeProjection
from farfield.reuse import select_anchors, stitch, stitching_matrix, train_head
from farfield.study.stage import stage
from farfield.tasks import citation_graphs
from farfield.tasks.task import Image, Task, Text, column
from farfield.train import predict, train
from farfield.trials import graph_sweep
from farfield.trials.spaces import home, view

PAIR = ((0, 1), (1, 0))
SEVEN = (*(f"classifier {i}" for i in (1, 2, 3)), "autoencoder 1", "autoencoder 2", "pca 48", "pixels")
# What a task or a space does not define is None, so that every claim finds its metric.
UNDEFINED: dict[str, Any] = {
    **dict.fromkeys(
        ("mse", "stitched_mse", "mean_image_mse", "accuracy", "own_accuracy", "swapped_accuracy", "swapped_all")
    ),
    **dict.fromkeys(("matrix", "encoders", "proxy", "similarities", "accuracies", "best_accuracy", "diverged")),
    "agreement": dict.fromkeys(("jaccard", "mrr", "cosine")),
}


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train networks apart, exchange their parts, and compare their spaces.

    **Arguments:**
    - ``point``: ``task``; ``space`` (see `farfield.trials.spaces`); ``kind`` of the autoencoders (see `farfield.nn.make_autoencoder`);
      ``anchors``; ``counts`` (numbers of anchors at which spaces are compared); ``steps``, ``batch_size``,
      ``head_steps``; ``image_models``, ``text_models`` (names of frozen encoders; empty: seven that are trained here); ``topk``;
      ``device``; for a citation graph what `farfield.trials.graph_sweep.proxy` takes.
    - ``seed``: of the split, the anchors, and of all networks, each with weights and batches of its own.

    **Returns:** for images ``mse`` and ``stitched_mse`` of autoencoders (own and the other's decoder; test images), ``accuracy``
    of a classifier trained end to end in the space, ``agreement`` (jaccard, mrr, cosine of two absolute autoencoders seen in this
    space), ``jaccard_at`` by number of anchors; for images and texts ``own_accuracy`` and ``swapped_accuracy`` (heads on
    frozen encoders; pairs of equal width), ``swapped_all`` (all pairs), ``matrix`` and ``encoders``; for a graph what `proxy`
    returns. What a task or a space does not define is None.
    """
    if point["task"] in citation_graphs.NAMES:
        return UNDEFINED | graph_sweep.proxy(point, seed)
    task = tasks.load(point["task"], seed=seed)
    anchors = select_anchors(column(task.train, "y"), point["anchors"], "stratified", seed=seed)
    result = dict(UNDEFINED)
    if isinstance(task.inputs, Image):
        inputs = task.train[anchors]["x"].to(point["device"])
        result |= _agreement(point, task, inputs, seed)
        if point["space"] != "centered":
            result |= _exchange(point, task, inputs, seed)
        if point["space"] in ("absolute", "relative"):
            result |= _end_to_end(point, task, inputs, seed)
    if point["space"] != "layernorm":
        result |= _heads(point, task, anchors, seed)
    return result


def _exchange(point: Mapping[str, Any], task: Task, inputs: Tensor, seed: int) -> dict[str, float]:
    """Reconstruct test images with each autoencoder's own decoder, and with the other's."""
    space, x = point["space"], _inputs(task, "iid").to(point["device"])
    pair = _autoencoders(point, task, inputs, home(space), seed)
    with torch.no_grad():
        own = [float(mse_loss(model(x), x)) for model in pair]
        stitched = []
        for i, j in PAIR:
            if space in ("procrustes", "shuffled"):
                codes, at = _codes(pair[i], x), _codes(pair[i], inputs)
                seen = view(space, codes, at, _codes(pair[j], inputs), seed=seed)
                out = pair[j].decoder(pair[j].encoder.normalize(seen) if space == "shuffled" else seen)
            else:
                out = stitch(pair[i], pair[j]).eval()(x)
            stitched.append(float(mse_loss(out, x)))
        mean_image = float(mse_loss(_inputs(task, "train").mean(0).to(x).expand_as(x), x))
    return {"mse": sum(own) / 2, "stitched_mse": sum(stitched) / 2, "mean_image_mse": mean_image}


def _agreement(point: Mapping[str, Any], task: Task, inputs: Tensor, seed: int) -> dict[str, Any]:
    """Compare two absolute autoencoders on test images, as each space shows them, with more and fewer anchors."""
    space, x = point["space"], _inputs(task, "iid").to(point["device"])
    first, second = _autoencoders(point, task, inputs, "absolute", seed)
    found = {}
    with torch.no_grad():
        (z, at), (other, at_other) = [(_codes(m, x).double(), _codes(m, inputs).double()) for m in (first, second)]
        for k in sorted({*point["counts"], len(inputs)}):
            ours = view(space, z, at[:k], at_other[:k], seed=seed)
            theirs = view(home(space), other, at_other[:k], at_other[:k])
            found[k] = measure.space_agreement(ours, theirs, topk=point["topk"])
    full = found[len(inputs)]
    return {
        "agreement": {"jaccard": full.jaccard, "mrr": full.mrr, "cosine": full.cosine},
        "jaccard_at": {str(k): found[k].jaccard for k in point["counts"]},
    }


def _end_to_end(point: Mapping[str, Any], task: Task, inputs: Tensor, seed: int) -> dict[str, float]:
    model = _new(point, task, inputs, point["space"], seed=seed * 100 + 50)
    width = len(inputs) if point["space"] == "relative" else _codes(model, inputs[:2]).shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed * 100 + 51)
        classifier = nn.Classifier(model.encoder, torch_nn.Linear(width, task.outputs.count)).to(point["device"])
    _fit(classifier, task, _classify, point, seed * 100 + 50)
    right = predict(classifier, task.tests["iid"]).argmax(1) == column(task.tests["iid"], "y")
    return {"accuracy": float(right.double().mean())}


def _heads(point: Mapping[str, Any], task: Task, anchors: Tensor, seed: int) -> dict[str, Any]:
    """Train a head on each frozen encoder and let it read every other."""
    models = list(point["text_models"] if isinstance(task.inputs, Text) else point["image_models"])
    settings = {key: point[key] for key in ("kind", "steps", "batch_size", "device")}
    found = latents(
        task=point["task"], fingerprint=task.fingerprint, seed=seed, models=models, anchors=anchors.tolist(), **settings
    )
    # A stage comes back in the order of the alphabet.
    by_name = {name: (found[f"{name}/train"], found[f"{name}/test"]) for name in models or SEVEN}
    epochs = max(1, round(point["head_steps"] * point["batch_size"] / len(task.train)))
    column_name = "relative" if point["space"] == "centered" else point["space"]
    frame = stitching_matrix(
        by_name,
        column(task.train, "y"),
        column(task.tests["iid"], "y"),
        anchors,
        partial(train_head, classes=task.outputs.count, epochs=epochs, batch_size=point["batch_size"], seed=seed),
        columns=[column_name],
        projection=RelativeProjection(center=point["space"] == "centered"),
        seed=seed,
    )
    widths = {name: x.shape[1] for name, (x, _) in by_name.items()}
    same, own = frame.encoder.map(widths) == frame["head"].map(widths), frame.encoder == frame["head"]
    square = frame.pivot(index="encoder", columns="head", values=column_name).loc[list(by_name), list(by_name)]
    result = {
        "own_accuracy": float(frame[own][column_name].mean()),
        "matrix": [[None if v != v else float(v) for v in row] for row in square.to_numpy()],
        "encoders": list(by_name),
    }
    # Missing cells are pairs that the space does not define, and are in no mean.
    for name, kept in (("swapped_accuracy", same & ~own), ("swapped_all", ~own)):
        if kept.any():
            result[name] = float(frame[kept][column_name].mean())
    return result


@stage
def latents(
    *,
    task: str,
    fingerprint: str,
    seed: int,
    models: list[str],
    anchors: list[int],
    kind: str,
    steps: int,
    batch_size: int,
    device: str,
) -> dict[str, Tensor]:
    """Return the latents of frozen encoders by ``name/train`` and ``name/test``.

    **Arguments:** ``models``: names as `farfield.nn.load` takes them; with none, seven are made: three classifiers of other depth,
    width and activation, the two absolute autoencoders, the 48 first principal components, and the pixels themselves.
    """
    loaded = tasks.load(task, seed=seed)
    found: dict[str, Tensor] = {}
    for name in models:
        prepared = nn.prepare(name, loaded)
        model = nn.load(name, prepared, seed=seed).to(device)
        for part, split in (("train", prepared.train), ("test", prepared.tests["iid"])):
            found[f"{name}/{part}"] = predict(_Features(model), split)
    if models:
        return found
    point = {"task": task, "kind": kind, "steps": steps, "batch_size": batch_size, "device": device}
    encoders = {f"classifier {i + 1}": model.encoder for i, model in enumerate(_classifiers(point, loaded, seed))}
    pair = _autoencoders(point, loaded, loaded.train[torch.tensor(anchors)]["x"].to(device), "absolute", seed)
    encoders |= {f"autoencoder {i + 1}": model.encoder for i, model in enumerate(pair)}
    for name, encoder in encoders.items():
        for part, split in (("train", loaded.train), ("test", loaded.tests["iid"])):
            found[f"{name}/{part}"] = predict(encoder, split)
    pixels = {part: _inputs(loaded, label).flatten(1) for part, label in (("train", "train"), ("test", "iid"))}
    mean = pixels["train"].mean(0)
    _, _, axes = torch.linalg.svd(pixels["train"] - mean, full_matrices=False)
    for part, x in pixels.items():
        found[f"pca 48/{part}"] = (x - mean) @ axes[:48].T
        found[f"pixels/{part}"] = x
    return found


def _classifiers(point: Mapping[str, Any], task: Task, seed: int) -> list[torch_nn.Module]:
    """Return three classifiers with codes of 64: ReLU shallow and deep, and GELU with a wider hidden layer."""
    models = [nn.load(name, task, seed=seed * 100 + 10 + i) for i, name in enumerate(("mlp?hidden=64&depth=1", "mlp?hidden=64&depth=3"))]  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed * 100 + 12)
        wide = nn.make_autoencoder(task.inputs, hidden=256).encoder
        models.append(nn.Classifier(wide, torch_nn.Linear(64, task.outputs.count)))
    for i, model in enumerate(models):
        _fit(model.to(point["device"]), task, _classify, point, seed * 100 + 10 + i)
    return models


def _autoencoders(point: Mapping[str, Any], task: Task, inputs: Tensor, space: str, seed: int) -> list[nn.Autoencoder]:
    """Return the two trained autoencoders of a space, in evaluation mode."""
    weights = autoencoders(
        task=point["task"],
        fingerprint=task.fingerprint,
        space=space,
        anchors=len(inputs) if space == "relative" else 0,
        kind=point["kind"],
        steps=point["steps"],
        batch_size=point["batch_size"],
        device=point["device"],
        seed=seed,
    )
    pair = []
    for i in (0, 1):
        model = _new(point, task, inputs, space, seed=0)
        model.load_state_dict({k.partition(".")[2]: w for k, w in weights.items() if k.startswith(f"{i}.")})
        pair.append(model.eval())
    return pair


@stage
def autoencoders(
    *,
    task: str,
    fingerprint: str,
    space: str,
    anchors: int,
    kind: str,
    steps: int,
    batch_size: int,
    device: str,
    seed: int,
) -> dict[str, Tensor]:
    """Return the weights of two autoencoders trained apart in a space, as one state dict with the prefixes ``0.`` and ``1.``."""
    loaded = tasks.load(task, seed=seed)
    rows = select_anchors(column(loaded.train, "y"), anchors, "stratified", seed=seed) if anchors else torch.arange(2)
    inputs = loaded.train[rows]["x"].to(device)
    point = {"kind": kind, "steps": steps, "batch_size": batch_size, "device": device}
    weights = {}
    for i in (0, 1):
        model = _new(point, loaded, inputs, space, seed=seed * 100 + i)
        # The Gaussian likelihood at the best variance, but for a constant: log of the error's standard deviation.
        _fit(model, loaded, lambda m, b: 0.5 * mse_loss(m(b["x"]), b["x"]).log(), point, seed * 100 + i)
        weights |= {f"{i}.{name}": value for name, value in model.state_dict().items()}
    return weights


def _new(point: Mapping[str, Any], task: Task, inputs: Tensor, space: str, *, seed: int) -> nn.Autoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = nn.make_autoencoder(task.inputs, point["kind"], reads=len(inputs) if space == "relative" else None)
    model = model.to(point["device"])
    if space == "relative":
        model.encoder = RelativeEncoder(model.encoder, inputs)
    elif space == "layernorm":
        model.decoder = torch_nn.Sequential(torch_nn.LayerNorm(_codes(model, inputs[:2]).shape[1]), model.decoder)
    return model.to(point["device"])


def _codes(model: nn.Autoencoder, x: Tensor) -> Tensor:
    """Return the codes of an encoder before any similarity, in evaluation mode."""
    encoder = model.encoder.encoder if isinstance(model.encoder, RelativeEncoder) else model.encoder
    with torch.no_grad():
        return encoder.eval()(x)


class _Features(torch_nn.Module):
    """A model up to its head, with the parameters of the whole."""

    def __init__(self, model: torch_nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return nn.features_and_logits(self.model, x)[0]


def _classify(model: torch_nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return cross_entropy(model(batch["x"]), batch["y"])


def _fit(model: torch_nn.Module, task: Task, loss: Any, point: Mapping[str, Any], seed: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    train(model, task.train, loss, optimizer, steps=point["steps"], batch_size=point["batch_size"], seed=seed)


def _inputs(task: Task, label: str) -> Tensor:
    split = task.train if label == "train" else task.tests[label]
    return split[torch.arange(len(split))]["x"]
