"""Fine-tuning a pretrained model by a method, and what it did to the model: one trial of a study of fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import measure, methods, nn, tasks
from farfield.batches import uniform
from farfield.compare.evaluate import next_token_loss, score
from farfield.methods.method import cross_entropy
from farfield.names import parse
from farfield.study.stage import stage
from farfield.tasks import transfer
from farfield.tasks.task import Classes, Split, Table, Task, column
from farfield.train import predict, train

ROWS_MEASURED = 512


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Fine-tune a pretrained model and measure it near and far.

    **Arguments:**
    - ``point``: ``task``, ``model``, ``method`` (names), ``steps``, ``batch_size``, ``learning_rate``, ``betas`` (of Adam),
      ``pretraining_steps``, ``sharpness`` (the half width e of the box), ``device``, and ``options``: method name -> settings.
    - ``seed``: of pretraining, split, head and batches; all methods of a seed share them.

    A task ``transfer/...`` comes with its own pretraining, computed once per seed; any other task starts from the model as
    `farfield.nn.load` gives it, pretrained where its name says so (``hf:...``).

    **Returns:** ``near`` and ``far`` score (far: mean over the far tests), ``tests`` (score by test). A score is accuracy; of a
    language model, minus the mean cross-entropy of the next token in nats, so that more is better, with the perplexities as
    ``near_perplexity`` and ``far_perplexity``. A task without a far test is itself far from what the model was pretrained on:
    its near score is its far score too. Further
    ``near_sharpness`` and ``far_sharpness`` (in percent, see `farfield.measure.epsilon_sharpness`), ``near_cka`` and ``far_cka``
    to the features before fine-tuning, ``seconds``; for methods that measure a distance at each step ``distance`` (mean),
    ``last_distance`` and ``distances`` (mean of each twentieth of the steps).
    """
    task = nn.prepare(point["model"], tasks.load(point["task"], seed=seed))
    model = start(point, task, seed).to(point["device"])
    model.betas = tuple(point["betas"])
    near_before, far_before = _features(model, task)
    method = methods.load(point["method"])
    settings = dict(point.get("options", {}).get(point["method"], {}))
    radii: list[float] = []
    if "radii" in method.defaults:
        settings["radii"] = radii
    fitted = method(
        model,
        task,
        steps=point["steps"],
        batch_size=point["batch_size"],
        seed=seed,
        learning_rate=point["learning_rate"],
        weight_decay=0.0,
        **settings,
    )
    language = column(task.train, "y").ndim == 2
    if language:
        scores = {name: -next_token_loss(fitted.model, split) for name, split in task.tests.items()}
    else:
        scores = {name: score(fitted.model, split).accuracy for name, split in task.tests.items()}
    far = far_tests(task)
    near_after, far_after = _features(fitted.model, task)
    result = {
        "near": scores["iid"],
        "far": sum(scores[name] for name in far) / len(far),
        "tests": scores,
        "near_sharpness": _sharpness(fitted.model, [task.tests["iid"]], point["sharpness"]),
        "far_sharpness": _sharpness(fitted.model, [task.tests[name] for name in far], point["sharpness"]),
        "near_cka": measure.linear_cka(near_before, near_after),
        "far_cka": measure.linear_cka(far_before, far_after),
        "seconds": fitted.history.seconds,
    }
    if language:
        # The mean of perplexities, as the paper has it, not the perplexity of the mean.
        result["near_perplexity"] = math.exp(-scores["iid"])
        result["far_perplexity"] = sum(math.exp(-scores[name]) for name in far) / len(far)
    if radii:
        values = torch.tensor([float(r) for r in radii], dtype=torch.float64)
        result |= {
            "distance": float(values.mean()),
            "last_distance": float(values[-max(1, len(values) // 20) :].mean()),
            "distances": [float(part.mean()) for part in values.chunk(20)],
        }
    return result


def far_tests(task: Task) -> tuple[str, ...]:
    """Return the tests that count as far: those outside the training data, else the task's own, which is new to the model.

    >>> far_tests(tasks.load("digits/noise"))
    ('noise 0.2', 'noise 0.3', 'noise 0.4')
    """
    return task.far or ("iid",)


def start(point: Mapping[str, Any], task: Task, seed: int) -> torch_nn.Module:
    """Return the model that fine-tuning starts from: pretrained encoder, new head."""
    model = nn.load(point["model"], task, seed=seed)
    if parse(point["task"]).path in transfer.NAMES:
        weights = pretrained(task=point["task"], model=point["model"], steps=point["pretraining_steps"], seed=seed)
        model.encoder.load_state_dict(weights)
    return model


@stage
def pretrained(*, task: str, model: str, steps: int, seed: int) -> dict[str, Tensor]:
    """Return the weights of an encoder pretrained for a task ``transfer/...``, as a state dict.

    Adam at 1e-3 with batches of 128 on cross-entropy (one class) or binary cross-entropy (several words at once).
    """
    rows, inputs, outputs = transfer.pretraining(task)
    pretraining = Task(task, rows, rows, {"iid": rows}, inputs, Classes(outputs), ("pretraining",))
    fresh = nn.load(model, pretraining, seed=seed)
    several = column(rows, "y").is_floating_point()
    loss = torch_nn.functional.binary_cross_entropy_with_logits if several else torch_nn.functional.cross_entropy
    optimizer = torch.optim.Adam(fresh.parameters(), lr=1e-3, fused=True)
    train(
        fresh,
        rows,
        lambda model, batch: loss(model(batch["x"]), batch["y"]),
        optimizer,
        steps=steps,
        seed=seed,
        batches=uniform(len(rows), 128, seed=seed),
    )
    return fresh.encoder.state_dict()


def _features(model: torch_nn.Module, task: Task) -> tuple[Tensor, Tensor]:
    """Return the features before the head on rows of the near test, and on rows of all far tests."""
    return _features_of(model, [task.tests["iid"]]), _features_of(model, [task.tests[name] for name in far_tests(task)])


def _features_of(model: torch_nn.Module, splits: list[Split]) -> Tensor:
    found = []
    for split in splits:
        rows = _first(split, ROWS_MEASURED // len(splits))
        found.append(predict(_Features(model), rows, batch_size=8 if column(split, "y").ndim == 2 else 512))
    return torch.cat(found)


class _Features(torch_nn.Module):
    """The model, with its features as its output; of a language model, their mean over the positions."""

    def __init__(self, model: torch_nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        features = nn.features_and_logits(self.model, x)[0]
        return features.mean(1) if features.ndim == 3 else features


def _first(split: Split, n: int) -> Table:
    """Return up to n rows evenly over a split: tests are often sorted by class."""
    at = torch.linspace(0, len(split) - 1, min(n, len(split))).round().long()
    return split.take(at) if isinstance(split, Table) else Table(**split[at])


def _sharpness(model: torch_nn.Module, splits: list[Split], e: float) -> float:
    """Return the mean over splits of the sharpness on 256 rows each, in batches of 32 as the paper does."""
    values = []
    for split in splits:
        rows = _first(split, 256)
        batches = [rows[part] for part in torch.arange(len(rows)).split(32)]
        # The ascent can reach the face of the box: its step is a tenth of e, and it takes twenty.
        values.append(
            measure.epsilon_sharpness(model, cross_entropy, batches, e=e, steps=20, lr=e * 10, accumulation=4)
        )
    return sum(values) / len(values)
