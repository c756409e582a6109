"""Model selection: which settings, and which moment of training, without looking at the test domains.

Gulrajani & Lopez-Paz (In Search of Lost Domain Generalization, ICLR 2021) show that the choice of selection decides
which method wins; so it is always named, and shown in every report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from farfield.compare.evaluate import Score, score
from farfield.errors import InputError, unknown_name
from farfield.methods import Fitted, Method
from farfield.tasks.task import Split, Table, Task, column

CHECKS = 10

MakeModel = Callable[[], nn.Module]

SELECTIONS = {
    "iid": "validation data of the training domains",
    "leave-one-domain-out": "each training domain in turn, left out of training",
    "oracle": "the test domains themselves: an upper bound, not an estimate",
}


@dataclass
class Fit:
    """A trained model with its score for the selection, the step it is from, and the curve of its training."""

    model: nn.Module
    score: float
    step: int
    seconds: float
    curve: dict[str, list[float]]


def check(selection: str, task: Task, method: Method) -> None:
    """Refuse a selection that the task cannot serve.

    Raises InputError on an unknown name, or where leave-one-domain-out lacks training domains.
    """
    if selection not in SELECTIONS:
        raise unknown_name("model selection", selection, SELECTIONS)
    needed = 3 if method.needs_domains else 2
    if selection == "leave-one-domain-out" and len(task.domains) < needed:
        raise InputError(
            f"model selection by leave-one-domain-out needs at least {needed} training domains for {method.name}; "
            f"the task {task.name} has {len(task.domains)}: use --select iid"
        )


def fit(
    make_model: MakeModel,
    task: Task,
    method: Method,
    settings: Mapping[str, Any],
    *,
    selection: str,
    steps: int,
    batch_size: int,
    seed: int,
) -> Fit:
    """Train once with these settings and return the model at the moment that the selection chooses, with its score.

    - ``iid``: the checkpoint with the highest accuracy on ``task.val`` (lower loss on a tie).
    - ``leave-one-domain-out``: the step with the highest mean accuracy on the left-out training domains; the model that
      is returned is trained on all of them.
    - ``oracle``: the last step, as in DomainBed, scored by the mean accuracy on the far tests.
    """
    budget = {"steps": steps, "batch_size": batch_size, "seed": seed}

    def train(task: Task, watch: _Watch) -> Fitted:
        return method(make_model(), task, hooks=[watch], **budget, **settings)

    if selection == "iid" and not method.needs_validation:
        watch = _Watch(task.val, steps, keep="best")
        fitted = train(task, watch)
        watch.restore(fitted.model)
        return Fit(
            fitted.model, watch.scores[watch.kept].accuracy, watch.kept, fitted.history.seconds, watch.curve(fitted)
        )
    if selection != "leave-one-domain-out":
        watch = _Watch(task.val, steps)
        fitted = train(task, watch)
        splits = [task.tests[name] for name in task.far] if selection == "oracle" else [task.val]
        value = sum(score(fitted.model, split).accuracy for split in splits) / len(splits)
        return Fit(fitted.model, value, steps, fitted.history.seconds, watch.curve(fitted))

    folds = []
    for d in range(len(task.domains)):
        inner, left_out = leave_out(task, d)
        watch = _Watch(left_out, steps)
        fitted = train(inner, watch)
        folds.append({steps: score(fitted.model, left_out)} if method.needs_validation else watch.scores)
    mean = {step: sum(fold[step].accuracy for fold in folds) / len(folds) for step in folds[0]}
    best = max(mean, key=lambda step: mean[step])
    watch = _Watch(task.val, steps, keep=best)
    fitted = train(task, watch)
    if not method.needs_validation:
        watch.restore(fitted.model)
    return Fit(fitted.model, mean[best], best, fitted.history.seconds, watch.curve(fitted))


def leave_out(task: Task, d: int) -> tuple[Task, Split]:
    """Return the task without its training domain d, and that domain's training and validation rows as one split.

    Test splits are not touched: the inner task carries none of them.
    """
    kept = [i for i in range(len(task.domains)) if i != d]
    number = torch.full((len(task.domains),), -1)
    number[kept] = torch.arange(len(kept))

    def rows(split: Split, keep: bool) -> Table:
        domain = column(split, "domain")
        at = torch.nonzero((domain != d) if keep else (domain == d)).flatten()
        table = split.take(at) if isinstance(split, Table) else Table(**split[at])
        return table.replace(domain=number[table.columns["domain"]]) if keep else table

    left_out = _concatenate(rows(task.train, keep=False), rows(task.val, keep=False))
    val = rows(task.val, keep=True)
    inner = replace(
        task,
        train=rows(task.train, keep=True),
        val=val,
        tests={"iid": val},
        domains=tuple(task.domains[i] for i in kept),
    )
    return inner, left_out


def _concatenate(a: Table, b: Table) -> Table:
    joined: dict[str, Any] = {}
    for name, values in a.columns.items():
        other = b.columns[name]
        joined[name] = torch.cat([values, other]) if isinstance(values, Tensor) else [*values, *other]
    return Table(**joined)


class _Watch:
    """A training hook: scores the model ten times along training, and keeps the weights of the best or of a named step."""

    def __init__(self, split: Split, steps: int, *, keep: Literal["best"] | int | None = None):
        self.split = split
        self.at = sorted({max(1, round(steps * (i + 1) / CHECKS)) for i in range(CHECKS)})
        self.scores: dict[int, Score] = {}
        self.kept = 0
        self._keep = keep
        self._weights: dict[str, Tensor] = {}

    def __call__(self, step: int, model: nn.Module, loss: float) -> None:
        if step not in self.at:
            return
        self.scores[step] = score(model, self.split)
        better = self.kept == 0 or self.scores[step] > self.scores[self.kept]
        if (self._keep == "best" and better) or self._keep == step:
            self.kept = step
            self._weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}

    def restore(self, model: nn.Module) -> None:
        model.load_state_dict(self._weights)

    def curve(self, fitted: Fitted) -> dict[str, list[float]]:
        """Return the mean training loss since the check before, and the accuracy on the split, at each check."""
        means = []
        for start, end in zip([0, *self.at], self.at):
            part = fitted.history.loss[start:end]
            means.append(sum(part) / len(part))
        return {"step": list(self.at), "loss": means, "validation": [self.scores[s].accuracy for s in self.at]}
