"""Sharpness-aware minimisation in a neighbourhood of predictions."""

from collections.abc import Iterable

import torch
from torch import nn

from farfield import optim
from farfield.methods._two_passes import cross_entropy_counted_once
from farfield.methods.method import Fitted, Range, adamw_settings, method, minimise, trainable
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "fisher-sam",
    source="Kim et al., ICML 2022",
    space={"gamma": Range(0.01, 1.0, log=True), "eta": Range(0.01, 10.0, log=True)},
)
def fisher_sam(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    gamma: float = 0.1,
    eta: float = 0.1,
) -> Fitted:
    """Minimise the mean training loss at the worst point nearby in the Fisher information's measure; a step costs two.

    **Arguments:** as `erm`; ``gamma``, ``eta``: see `farfield.optim.FisherSAM`.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = fisher_sam(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.FisherSAM(trainable(model), torch.optim.AdamW, gamma=gamma, eta=eta, **settings)
    loss = cross_entropy_counted_once(optimizer)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
