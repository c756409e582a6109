"""Sharpness-aware minimisation, plain and adaptive."""

from collections.abc import Iterable

import torch
from torch import nn

from farfield import optim
from farfield.methods._two_passes import cross_entropy_counted_once
from farfield.methods.method import Choice, Fitted, adamw_settings, method, minimise, trainable
from farfield.tasks.task import Task
from farfield.train import Hook


@method("sam", source="Foret et al., ICLR 2021", space={"rho": Choice((0.01, 0.02, 0.05, 0.1, 0.2, 0.5))})
def sam(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    rho: float = 0.05,
) -> Fitted:
    """Minimise the mean training loss at the worst point nearby, with AdamW; a step costs two.

    **Arguments:** as `erm`; ``rho``: see `farfield.optim.SAM`.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = sam(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.SAM(trainable(model), torch.optim.AdamW, rho=rho, **settings)
    loss = cross_entropy_counted_once(optimizer)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


@method("asam", source="Kwon et al., ICML 2021", space={"rho": Choice((0.1, 0.2, 0.5, 1.0, 2.0))})
def asam(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    rho: float = 0.5,
    eta: float = 0.01,
) -> Fitted:
    """Minimise the mean training loss at the worst point nearby, relative to the size of each weight; a step costs two.

    **Arguments:** as `erm`; ``rho``, ``eta``: see `farfield.optim.ASAM`.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = asam(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.ASAM(trainable(model), torch.optim.AdamW, rho=rho, eta=eta, **settings)
    loss = cross_entropy_counted_once(optimizer)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
