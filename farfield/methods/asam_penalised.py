"""ASAM with a trust-region penalty added: the plain combinations that TRAM is compared with."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from farfield import optim
from farfield.losses import R3FLoss, TrustRegionPenalty
from farfield.methods._two_passes import penalised
from farfield.methods.method import Fitted, Range, adamw_settings, method, minimise, trainable
from farfield.tasks.task import Task
from farfield.train import Hook

SOURCE = "Sherborne et al., ICLR 2024 (appendix)"
SPACE = {"weight": Range(0.01, 10.0, log=True)}


@method("asam-trpo", source=SOURCE, space=SPACE, ablation=True)
def asam_trpo(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    weight: float = 0.1,
    rho: float = 0.5,
) -> Fitted:
    """Minimise, by ASAM, the mean loss and the divergence of the predictions from those of one step ago.

    **Arguments:** as `trpo` and `asam`.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> len(asam_trpo(nn.load("linear", task), task, steps=20).history.loss)
    20
    """
    optimizer = _asam(model, learning_rate, weight_decay, rho)
    reference = optim.PreviousStepReference().init(model)
    reference.follow(optimizer, model)
    loss = penalised(optimizer, TrustRegionPenalty(reference, weight=weight))
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


@method("asam-mesa", source=SOURCE, space=SPACE, ablation=True)
def asam_mesa(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    weight: float = 0.1,
    decay: float = 0.999,
    rho: float = 0.5,
) -> Fitted:
    """Minimise, by ASAM, the mean loss and the divergence of the predictions from those of a moving average of the weights.

    **Arguments:** as `mesa` and `asam`.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> len(asam_mesa(nn.load("linear", task), task, steps=20).history.loss)
    20
    """
    optimizer = _asam(model, learning_rate, weight_decay, rho)
    reference = optim.EMAReference(decay).init(model)
    reference.follow(optimizer, model)
    loss = penalised(optimizer, TrustRegionPenalty(reference, weight=weight))
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


@method("asam-r3f", source=SOURCE, space=SPACE, ablation=True)
def asam_r3f(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    weight: float = 0.1,
    sigma: float = 0.1,
    rho: float = 0.5,
) -> Fitted:
    """Minimise, by ASAM, the mean loss and how far predictions move under noise on the input.

    **Arguments:** as `r3f` and `asam`.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> len(asam_r3f(nn.load("linear", task), task, steps=20).history.loss)
    20
    """
    optimizer = _asam(model, learning_rate, weight_decay, rho)
    loss = penalised(optimizer, R3FLoss(weight=weight, sigma=sigma, seed=seed))
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


def _asam(model: nn.Module, learning_rate: float | None, weight_decay: float, rho: float) -> optim.ASAM:
    settings: dict[str, Any] = adamw_settings(model, learning_rate, weight_decay)
    return optim.ASAM(trainable(model), torch.optim.AdamW, rho=rho, **settings)
