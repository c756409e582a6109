"""Training on the median of the last gradients, which suppresses what few examples ask for."""

from collections.abc import Iterable

import torch
from torch import nn

from farfield import optim
from farfield.methods.method import Choice, Fitted, adamw_settings, cross_entropy, method, minimise, trainable
from farfield.tasks.task import Task
from farfield.train import Hook


@method("rm3", source="Chatterjee and Zielinski, 2022", space={"window": Choice((3, 5))})
def rm3(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    window: int = 3,
) -> Fitted:
    """Minimise the mean training loss with AdamW on the median of the last gradients; a step costs what one of erm costs.

    Against noisy labels. The paper's base optimizer is SGD with momentum; here it is that of all methods, AdamW.

    **Arguments:** as `erm`; ``window``: see `farfield.optim.RM3`.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = rm3(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.RM3(trainable(model), torch.optim.AdamW, window=window, **settings)
    return minimise(model, task, cross_entropy, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
