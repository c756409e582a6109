"""One trial of a comparison: a task, a model, a method and a seed in, accuracies near and far out. Plain data to plain data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from torch import nn as torch_nn

from farfield import methods, nn, tasks
from farfield.compare.evaluate import evaluate
from farfield.compare.selection import Fit, fit
from farfield.compare.tuning import search_space, tune
from farfield.methods.method import default_learning_rate
from farfield.tasks.task import Task


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Tune and train one method on one task and report how it does near and far.

    **Arguments:**
    - ``point``: ``task``, ``model``, ``method`` (names), ``steps`` (None: `default_steps`), ``batch_size``, ``selection`` (see
      `farfield.compare.selection`), ``trials`` (hyper-parameter settings to try) and ``device``.
    - ``seed``: decides the split, the initial weights and the order of batches. All methods of one seed share them, so
      that they can be compared in pairs.

    **Returns:** ``near`` (accuracy where it was trained) and ``far`` (mean over the other tests), ``accuracy`` by test, ``domains`` (iid accuracy by training domain), ``confusion``, ``validation`` (the
    score that the selection saw), ``chosen`` settings, ``step``, ``candidates``, ``curve`` and ``seconds`` of the final
    training.

    >>> point = {"task": "digits/rotation", "model": "linear", "method": "erm", "steps": 30, "batch_size": 64,
    ...          "selection": "iid", "trials": 1, "device": "cpu"}
    >>> result = trial(point, seed=0)
    >>> result["accuracy"]["iid"] > result["accuracy"]["rotation 75°"]
    True
    """
    result, _ = fit_and_evaluate(_load_task(point["task"], point["model"], seed), point, seed)
    return result


def fit_and_evaluate(task: Task, point: Mapping[str, Any], seed: int) -> tuple[dict[str, Any], torch_nn.Module]:
    """Do what `trial` does on a task at hand, and return the trained model too."""
    method = methods.load(point["method"])
    steps = point["steps"] or default_steps(len(task.train), point["batch_size"])

    def make_model() -> torch_nn.Module:
        return nn.load(point["model"], task, seed=seed).to(point["device"])

    def fit_with(settings: Mapping[str, Any]) -> Fit:
        return fit(
            make_model,
            task,
            method,
            settings,
            selection=point["selection"],
            steps=steps,
            batch_size=point["batch_size"],
            seed=seed,
        )

    start = time.perf_counter()
    best: dict[str, Fit] = {}

    def score(settings: dict[str, Any]) -> float:
        attempt = fit_with(settings)
        # The best model so far is kept, so that it need not be trained again.
        if "fit" not in best or attempt.score > best["fit"].score:
            best["fit"] = attempt
        return attempt.score

    learning_rate = default_learning_rate(make_model(), None, factor=method.learning_rate_factor)
    space = search_space(method, learning_rate)
    chosen, candidates = tune(score, space, trials=point["trials"], seed=seed, name=method.name)
    final = best["fit"]
    measured = evaluate(final.model, task)
    far = [accuracy for test, accuracy in measured["accuracy"].items() if test != "iid"]
    result = {
        "near": measured["accuracy"]["iid"],
        "far": sum(far) / len(far) if far else None,
        **measured,
        "validation": final.score,
        "chosen": {**method.defaults, "learning_rate": learning_rate, **chosen},
        "step": final.step,
        "candidates": [{"settings": c.settings, "score": c.score} for c in candidates],
        "curve": final.curve,
        "seconds": final.seconds,
        "tuning_seconds": time.perf_counter() - start,
    }
    return result, final.model


def default_steps(rows: int, batch_size: int) -> int:
    """Return the default number of training steps: 20 epochs, at least 300 and at most 3,000 steps.

    >>> default_steps(1_000, 64)
    313
    """
    return min(3_000, max(300, -(-20 * rows // batch_size)))


@lru_cache(maxsize=2)
def _load_task(name: str, model: str, seed: int) -> Task:
    """Load and prepare a task; a worker meets the same one for every method in turn."""
    return nn.prepare(model, tasks.load(name, seed=seed))
