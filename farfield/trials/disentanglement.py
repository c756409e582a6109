"""Training on one platform in many ways, and how well each does on platforms where the nuisance goes with the label otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import measure, methods, nn
from farfield.losses import balanced_weights
from farfield.methods.catch import DisentangledClassifier
from farfield.methods.method import Fitted, adamw, minimise
from farfield.nn.evaluating import evaluating
from farfield.tasks.task import Table, Task, Vector, column
from farfield.train import predict
from farfield.trials.text_features import embedded

# What each way of training is: a model, a method of the library or a loss below, and its settings.
RECIPES: dict[str, dict[str, Any]] = {
    "logistic regression": {"model": "linear", "method": "erm"},
    "ERM": {"method": "erm"},
    "ERM, balanced classes": {"weights": "classes"},
    "ERM, balanced in targets": {"weights": "classes and targets"},
    "DANN": {"method": "dann", "settings": {"width": 64}},
    "IRM": {"method": "irm"},
    "V-REx": {"method": "vrex"},
    "PEACE": {"cues": True},
    "CATCH": {"method": "catch"},
    "CATCH, no target loss": {"method": "catch", "settings": {"domain_weight": 0.0}},
    "CATCH, no KL": {"method": "catch", "settings": {"kl_weight": 0.0}},
    "CATCH, no reconstruction": {"method": "catch", "settings": {"reconstruction": "none"}},
    "CATCH, draws at test": {"method": "catch", "sample": True},
    "CATCH, tokens": {"method": "catch", "settings": {"reconstruction": "tokens"}},
}
ROWS_PROBED = 600
NORM_PENALTY = 0.001  # PEACE: times the sum of the parameters' norms


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train on the embeddings of one task by one recipe, and measure it on every test.

    **Arguments:**
    - ``point``: ``task`` (a name; its domains are the nuisance), ``recipe`` (a key of `RECIPES`, or a method of the library),
      ``encoder``, ``width`` and ``cue_models`` (the ``cues`` of `farfield.trials.text_features.embedded`), ``hidden`` (units of the perceptron),
      ``steps``, ``batch_size``, ``learning_rate``, ``weight_decay``; ``unseen_tests``: those that count as unseen platforms, all far
      ones where empty; ``probe_test``: the one on whose rows the nuisance is probed; ``decoder`` of tokens, ``device``.
    - ``seed``: of data, split, weights and batches, which all recipes share.

    **Returns:** ``near`` (macro-F1 on the near test), ``unseen`` (mean over the unseen platforms),
    ``unseen_texts`` (the same, where the task has cues), ``worst`` (of all tests), ``f1`` by
    test, ``seconds``. Of CATCH also ``probe``: how well a linear classifier reads the nuisance from the embedding (``z``), the label's part
    (``x_c``) and the nuisance's part (``x_t``), as accuracy, and ``chance``; ``probe_drop``: z less x_c; ``target_gained``: how far x_t gets from
    chance to 1; ``apart/z`` and ``apart/x_c``: AUC of a classifier of near against unseen rows. A recipe that
    needs cues returns nothing for a task that has none.
    """
    name = point["recipe"]
    recipe = RECIPES.get(name, {"method": name})
    task = embedded(point["task"], encoder=point["encoder"], width=point["width"], cues=point["cue_models"], seed=seed)
    if recipe.get("cues"):
        if "cue 0" not in task.train.columns:
            return {}
        task = _with_cues(task)
    sizes = {"steps": point["steps"], "batch_size": point["batch_size"], "seed": seed}
    rates = {"learning_rate": point["learning_rate"], "weight_decay": point["weight_decay"]}
    fitted = _fit(recipe, task, point, sizes, rates, seed)
    sample = torch.Generator().manual_seed(seed) if recipe.get("sample") else None
    f1 = {}
    for test, split in task.tests.items():
        logits = predict(fitted.model, split) if sample is None else _draws(fitted.model, split, sample)
        f1[test] = measure.macro_f1(column(split, "y"), logits.argmax(1))
    unseen = [test for test in (point["unseen_tests"] or task.far) if test in f1]
    result = {
        "near": f1["iid"],
        "unseen": sum(f1[test] for test in unseen) / len(unseen),
        "worst": min(f1.values()),
        "f1": f1,
        "seconds": fitted.history.seconds,
    }
    if "cue 0" in task.train.columns:
        result["unseen_texts"] = result["unseen"]
    if isinstance(fitted.model, DisentangledClassifier) and sample is None:
        result |= _probes(fitted.model, task, point["probe_test"], unseen, seed)
    return result


def _fit(
    recipe: Mapping[str, Any], task: Task, point: Mapping[str, Any], sizes: dict, rates: dict, seed: int
) -> Fitted:
    if recipe.get("cues"):
        return _fit_cues(task, point, sizes, rates, seed)
    settings = dict(recipe.get("settings", {}))
    if settings.get("reconstruction") == "tokens":
        settings["decoder"] = point["decoder"]
    method = recipe.get("method", "")
    # CATCH brings its own layers; the others get one hidden layer, as wide as the embedding.
    model = recipe.get("model", "linear" if method == "catch" else f"mlp?hidden={point['hidden']}&depth=1&dropout=0.2")
    made = nn.load(model, task, seed=seed).to(point["device"])
    if method:
        if method == "catch":
            settings["width"] = max(point["width"], task.inputs.size)
        return methods.load(method)(made, task, **sizes, **rates, **settings)
    return _fit_weighted(made, task, recipe["weights"], sizes, rates)


def _fit_weighted(model: torch_nn.Module, task: Task, kind: str, sizes: dict, rates: dict) -> Fitted:
    """Minimise the loss with a weight for each row: all classes alike, or all classes alike within each target."""
    y, target = column(task.train, "y"), column(task.train, "domain")
    cell = y if kind == "classes" else target * task.outputs.count + y
    weight = balanced_weights(cell, int(cell.max()) + 1)[cell]
    weighted = Task(**{**vars(task), "train": task.train.replace(weight=weight)})

    def loss(model: torch_nn.Module, batch: dict) -> Tensor:
        each = torch_nn.functional.cross_entropy(model(batch["x"]), batch["y"], reduction="none")
        return (batch["weight"] * each).sum() / batch["weight"].sum()

    return minimise(model, weighted, loss, adamw(model, **rates), **sizes)


class CuedClassifier(torch_nn.Module):
    """PEACE on cached states: an embedding and two cues side by side in ``x``, merged by a `CueFusion`, then classified."""

    def __init__(self, dims: list[int], hidden: int, classes: int):
        super().__init__()
        self.dims = dims
        self.fusion = nn.CueFusion(dims, hidden)
        self.head = torch_nn.Linear(dims[0], classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the merged states (n, first width)."""
        return self.fusion(*x.split(self.dims, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def _fit_cues(task: Task, point: Mapping[str, Any], sizes: dict, rates: dict, seed: int) -> Fitted:
    widths = [task.train.columns[f"cue {j}"].shape[1] for j in range(2)]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = CuedClassifier([task.inputs.size - sum(widths), *widths], point["hidden"], task.outputs.count)
    model = model.to(point["device"])

    def loss(model: torch_nn.Module, batch: dict) -> Tensor:
        norms = torch.stack([p.norm() for p in model.parameters()]).sum()
        return torch_nn.functional.cross_entropy(model(batch["x"]), batch["y"]) + NORM_PENALTY * norms

    return minimise(model, task, loss, adamw(model, **rates), **sizes)


def _with_cues(task: Task) -> Task:
    """Return the task with the cues' states behind the embeddings."""

    def joined(split: Table) -> Table:
        return split.replace(x=torch.cat([split.columns[c] for c in ("x", "cue 0", "cue 1")], 1))

    tests = {test: joined(split) for test, split in task.tests.items()}
    size = tests["iid"].columns["x"].shape[1]
    return Task(
        **{
            **vars(task),
            "train": joined(task.train),
            "val": joined(task.val),
            "tests": tests,
            "inputs": Vector(size),
        }
    )


@torch.no_grad()
def _draws(model: DisentangledClassifier, split: Table, generator: torch.Generator) -> Tensor:
    """Return logits from draws of the label's part."""
    device = next(model.parameters()).device
    with evaluating(model), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        z = model.embed(split.columns["x"].to(device))
        return model.disentangler.predict(z, sample=True).cpu()


@torch.no_grad()
def _probes(model: DisentangledClassifier, task: Task, test: str, unseen: list[str], seed: int) -> dict[str, Any]:
    """Return what linear classifiers read of nuisance and platform from each part."""

    def parts(split: Table) -> dict[str, np.ndarray]:
        with evaluating(model):
            x = split.columns["x"].to(next(model.parameters()).device)
            out = model.disentangler(model.embed(x))
        return {"z": x.cpu().numpy(), "x_c": out.mu.cpu().numpy(), "x_t": out.x_t.cpu().numpy()}

    rows = task.tests[test if test in task.tests else "iid"]
    target = column(rows, "domain")
    counts = torch.bincount(target[target >= 0], minlength=len(task.domains))
    # Five folds need five rows of each; a nuisance that hardly comes up there is left out.
    frequent = torch.nonzero((target >= 0) & (counts[target.clamp(min=0)] >= 5)).flatten()
    rows, result = _some(rows.take(frequent), seed), {}
    target = column(rows, "domain")
    if len(torch.unique(target)) < 2:
        return result
    probes = {part: measure.nuisance_probe(v, target, seed=seed) for part, v in parts(rows).items()}
    result["probe"] = {part: found.accuracy.value for part, found in probes.items()}
    result["probe"]["chance"] = probes["z"].chance
    result["probe_drop"] = result["probe"]["z"] - result["probe"]["x_c"]
    result["target_gained"] = probes["x_t"].gained
    near, far = parts(_some(task.tests["iid"], seed)), parts(_some(task.tests[unseen[-1]], seed))
    result["apart"] = {p: measure.domain_invariance(near[p], far[p], seed=seed).auc for p in ("z", "x_c")}
    return result


def _some(split: Table, seed: int) -> Table:
    """Return up to 600 rows, drawn."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    return split.take(order[:ROWS_PROBED])
