"""Empirical risk minimisation: the baseline against which every other method stands."""

from collections.abc import Iterable

import torch
from torch import nn

from farfield.methods.method import Fitted, adamw, cross_entropy, default_learning_rate, method, minimise, trainable
from farfield.tasks.task import Task
from farfield.train import Hook


@method("erm", source="Vapnik, 1998")
def erm(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
) -> Fitted:
    """Minimise the mean training loss with AdamW.

    **Arguments:** ``model`` is trained in place on ``task.train``; ``learning_rate`` None takes the model's own default.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = erm(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    optimizer = adamw(model, learning_rate, weight_decay)
    return minimise(model, task, cross_entropy, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


@method("erm-sgd", source="Vapnik, 1998; Sutskever et al., ICML 2013", learning_rate_factor=30.0)
def erm_sgd(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    momentum: float = 0.9,
) -> Fitted:
    """Minimise the mean training loss with SGD and Nesterov momentum.

    **Arguments:** as `erm`; the default learning rate is 30 times the model's (which is meant for AdamW).

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = erm_sgd(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    optimizer = torch.optim.SGD(
        trainable(model),
        lr=default_learning_rate(model, learning_rate, factor=30.0),
        weight_decay=weight_decay,
        momentum=momentum,
        nesterov=True,
    )
    return minimise(model, task, cross_entropy, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
