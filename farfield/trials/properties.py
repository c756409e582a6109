"""What a labelled data set is like before training, and how a network that learned it generalizes: one trial of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from farfield import measure, nn, tasks
from farfield.batches import uniform
from farfield.errors import InputError
from farfield.methods.method import cross_entropy
from farfield.names import Name, parse
from farfield.tasks.task import Classes, Image, Table, Task, Vector
from farfield.train import train

LATENT = "latent-manifold"
OWN_OPTIONS = ("classes", "patch")
# Where the patch lies: a corner that digits leave empty.
PATCH = slice(2, 5)


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Measure a data set, train a network on some of it, and see how the network does on the rest, for several sizes.

    **Arguments:**
    - ``point``:
      - ``data``: ``latent-manifold?d=4&frequency=1&margin=0``, see `farfield.tasks.latent_manifold`; or a name as
        `farfield.tasks.labelled_arrays` takes it, the user's own too. ``?classes=3,8`` keeps these classes, and ``?patch=0.3``
        brightens a corner of half of the images by as much, which then is the label. "task" stands for the name in ``task``;
      - ``sizes``: numbers of training examples, by group (below); ``test_rows``; ``pairs``: two classes are drawn from each
        data set that does not name its own; ``side``: images are resized to it, 0 for their own; ``grey``: and averaged to grey;
      - ``vector_model``, ``model`` (of images), ``vector_rate``, ``image_rate``: names and learning rates of Adam; ``weight_decay``;
        ``vector_steps``, ``image_steps``, ``batch_size``; ``vector_eps``, ``image_eps``: steps of the attack, smallest first; ``device``.
    - ``seed``: of what is generated, the rows, the initial weights and the batches. Larger training sets hold the smaller.

    **Returns:** for the largest size, ``few`` for the smallest, and ``by_size`` for each: ``d_data`` and ``d_repr`` (intrinsic dimension of
    training inputs and of what goes into the head, both by "mle"), ``d_repr_twonn``, ``d_data_error``, ``narrower`` (1 where d_repr is at
    most d_data), ``sharpness``, ``loss``, ``log_loss``, ``accuracy``, ``train_accuracy``, ``penalty`` and ``penalty_small`` (accuracy lost to the
    largest and the smallest step). ``group``: "manifold", "margin" (a manifold whose name has a margin), "patch", "medical" (MedMNIST) or "natural"; ``n``;
    ``d``, ``frequency``, ``margin``, ``patch``, None where the name has none; ``rate`` (of ln loss on ln n) and ``law_slope`` (see
    `farfield.measure.scaling_fit`), None with one size.
    """
    name = parse(point["task"] if point["data"] == "task" else point["data"])
    x, y = _rows(name, point, seed)
    group = "natural"
    if name.path == LATENT:
        group = "margin" if "margin" in name.options else "manifold"
    elif "patch" in name.options:
        group = "patch"
    elif name.path.startswith("medmnist/"):
        group = "medical"
    order = _balanced(y, seed)
    n_test = point["test_rows"]
    sizes = sorted(n for n in point["sizes"][group] if n + n_test <= len(y))
    if not sizes:
        raise InputError(
            f"{name} has {len(y)} rows of two classes or more; it needs {n_test} to test and some to train"
        )
    test = Table(x=x[order[:n_test]], y=y[order[:n_test]])
    found = {}
    for n in sizes:
        rows = order[n_test : n_test + n]
        found[n] = _measured(Table(x=x[rows], y=y[rows]), test, point, seed)
    result: dict[str, Any] = {"group": group, "n": sizes[-1], **found[sizes[-1]], "few": found[sizes[0]]}
    # None where there is none: a claim about it is then undecided.
    named = ("d", "frequency", "margin", "patch")
    result |= {key: float(name.options[key]) if key in name.options else None for key in named}
    result |= {"rate": None, "law_slope": None}
    if len(sizes) > 1:
        losses = np.array([found[n]["loss"] for n in sizes])
        # The dimension from the most points: from few it is biased low.
        fit = measure.scaling_fit(np.array(sizes), losses, result["d_data"])
        result |= {"rate": float(np.polyfit(np.log(sizes), np.log(losses), 1)[0]), "law_slope": fit.slope}
    return result | {"by_size": {f"n{n}": numbers for n, numbers in found.items()}}


def _rows(name: Name, point: Mapping[str, Any], seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs, images in [0, 1], and labels 0, 1, ..."""
    if name.path == LATENT:
        name.check_options(["d", "frequency", "margin"])
        n = max(max(sizes) for sizes in point["sizes"].values()) + point["test_rows"]
        options = {key: float(value) for key, value in name.options.items() if key != "d"}
        return tasks.latent_manifold(n, int(name.options["d"]), seed=seed, **options)[:2]
    without = {key: value for key, value in name.options.items() if key not in OWN_OPTIONS}
    x, y = tasks.labelled_arrays(str(Name(name.kind, name.path, without)), seed=seed)
    rng = np.random.default_rng([seed, 0x1D])
    if "patch" in name.options:
        y = torch.from_numpy(rng.integers(2, size=len(y)))
        x = x.clone()
        x[y == 1, :, PATCH, PATCH] += float(name.options["patch"])
        return x.clamp_(0, 1), y
    wanted = [int(c) for c in name.options["classes"].split(",")] if "classes" in name.options else None
    if wanted is None and point["pairs"]:
        wanted = rng.choice(y.unique().numpy(), 2, replace=False).tolist()
    if wanted is not None:
        kept = torch.isin(y, torch.tensor(wanted))
        x, y = x[kept], y[kept]
    if x.ndim == 4 and point["side"]:
        x = interpolate(x, size=(point["side"], point["side"]), mode="bilinear", antialias=True).clamp_(0, 1)
    if x.ndim == 4 and point["grey"]:
        x = x.mean(1, keepdim=True)
    return x, torch.unique(y, return_inverse=True)[1]


def _measured(rows: Table, test: Table, point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    x, y = rows.columns["x"], rows.columns["y"]
    images = x.ndim == 4
    kind = "image" if images else "vector"
    inputs = Image(*x.shape[1:]) if images else Vector(x.shape[1])
    task = Task("properties", rows, rows, {"iid": test}, inputs, Classes(int(y.max()) + 1), ("data",))
    model = nn.load(point["model" if images else "vector_model"], task, seed=seed).to(point["device"])
    optimizer = torch.optim.Adam(
        model.parameters(), lr=point[f"{kind}_rate"], weight_decay=point["weight_decay"], fused=True
    )
    batches = uniform(len(rows), point["batch_size"], seed=seed)
    train(model, rows, cross_entropy, optimizer, steps=point[f"{kind}_steps"], seed=seed, batches=batches)
    clip = (0.0, 1.0) if images else None
    attacks = [measure.adversarial_drop(model, test, eps, clip) for eps in point[f"{kind}_eps"]]
    data = measure.dimension_estimate(x)
    activations = measure.activations(model, x, ["head:input"], progress=False)["head:input"]
    representation = measure.intrinsic_dimension(activations)
    fitted = measure.adversarial_drop(model, rows, 0.0, clip=None)
    return {
        "d_data": data.value,
        "d_data_error": data.standard_error,
        "d_repr": representation,
        "d_repr_twonn": measure.intrinsic_dimension(activations, "twonn"),
        "narrower": int(representation <= data.value),
        "sharpness": measure.label_sharpness(x, y, seed=seed),
        "loss": attacks[0].clean_loss,
        "log_loss": math.log(attacks[0].clean_loss),
        "accuracy": attacks[0].clean,
        "train_accuracy": fitted.clean,
        "penalty": attacks[-1].penalty,
        "penalty_small": attacks[0].penalty,
    }


def _balanced(y: Tensor, seed: int) -> Tensor:
    """Return the rows in a random order whose every beginning has as many of each class as there are."""
    order = torch.from_numpy(np.random.default_rng([seed, 0xBA]).permutation(len(y)))
    place = torch.empty(len(y), dtype=torch.long)
    for label in y.unique():
        mine = (y[order] == label).nonzero().flatten()
        place[mine] = torch.arange(len(mine))
    return order[place.argsort(stable=True)]
