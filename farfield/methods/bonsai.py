"""Rounds of training that each look for other features, and one network that holds what all found."""

from collections.abc import Iterable

from torch import nn

from farfield.errors import InputError
from farfield.methods._members import another, check_head
from farfield.methods.method import (
    Choice,
    Fitted,
    adamw,
    check_at_least,
    default_learning_rate,
    method,
    training_batches,
)
from farfield.reuse import rich_features
from farfield.tasks.task import Task, column
from farfield.train import Hook


@method(
    "bonsai",
    source="Zhang et al., ICML 2022; Zhang & Bottou, ICML 2023",
    space={"robust_share": Choice((0.25, 0.5, 1.0))},
)
def bonsai(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    robust_share: float = 0.5,
) -> Fitted:
    """Train by `erm`, again on the worse of what that got right or wrong, and one network on what both predict.

    Two rounds of `farfield.reuse.rich_features`, with AdamW and the batches of all methods in place of all rows at once. The
    first round has all steps, the second a share of them; then the given model is trained on both rounds' predictions, for all
    steps. Together that costs 2.5 times `erm` where the share is a half. The result is as large as the model.

    **Arguments:** as `erm`, where hooks see the last training only; ``robust_share``: steps of the second round, above 0, in those of
    the first.

    Raises InputError on a setting out of range, a task with a class at every position, or a model that is no
    `farfield.nn.Classifier` with a linear head.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = bonsai(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    check_at_least(1, steps=steps)
    if not 0 < robust_share < float("inf"):
        raise InputError(f"robust_share is {robust_share}; it must be above 0")
    check_head(model, "bonsai")
    if column(task.train, "y").ndim > 1:
        raise InputError(f"bonsai groups examples by one label; {task.name} has a class at every position")
    rate = default_learning_rate(model, learning_rate)
    # The synthesis, asked for last, is the given model; the rounds are others of its kind.
    rounds = [another(model, seed=seed * 1_000 + r) for r in range(2)]
    found = rich_features(
        lambda number: [*rounds, model][number - seed],
        task.train,
        steps=(steps, max(1, round(robust_share * steps))),
        synthesis_steps=steps,
        optimize=lambda network: adamw(network, rate, weight_decay),
        batches=lambda number: training_batches(task, batch_size, seed=number),
        seed=seed,
        hooks=hooks,
    )
    return Fitted(found.model, found.history)
