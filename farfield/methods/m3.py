"""Training on the median of the gradients of three parts of a batch, which suppresses what few examples ask for."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from farfield import optim
from farfield.errors import InputError
from farfield.methods.method import Choice, Fitted, adamw_settings, cross_entropy, method, minimise, trainable
from farfield.tasks.task import Task
from farfield.train import Hook


@method("m3", source="Chatterjee and Zielinski, 2022", space={"groups": Choice((3, 5))})
def m3(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    groups: int = 3,
) -> Fitted:
    """Minimise the mean training loss with AdamW on the median of the gradients of three parts of each batch.

    Against noisy labels. A step has the arithmetic of one of erm, in as many smaller passes as there are parts: up to three times
    as long for very small networks. Parts take every third example, so that each has its share of every training domain. The
    paper's base optimizer is SGD with momentum; here it is that of all methods, AdamW.

    **Arguments:** as `erm`; ``groups``: see `farfield.optim.M3`.

    Raises InputError where a batch has fewer examples than there are parts.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = m3(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    if min(batch_size, len(task.train)) < groups:
        raise InputError(f"groups is {groups}; m3 needs an example for each in a batch, which has {batch_size}")
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.M3(trainable(model), torch.optim.AdamW, groups=groups, **settings)
    loss = GroupLoss(optimizer)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


class GroupLoss:
    """The mean cross-entropy of the part of a batch that `farfield.optim.M3` asks for: every third example.

    >>> optimizer = optim.M3(nn.Linear(1, 1).parameters(), torch.optim.SGD, lr=0.1)
    >>> optimizer.group = 1
    >>> batch = {"x": torch.tensor([[9.0, 0.0], [0.0, 0.0], [9.0, 0.0]]), "y": torch.zeros(3, dtype=torch.long)}
    >>> GroupLoss(optimizer)(nn.Identity(), batch)
    tensor(0.6931)
    """

    def __init__(self, optimizer: optim.M3):
        self.optimizer = optimizer

    def __call__(self, model: nn.Module, batch: dict[str, Any]) -> Tensor:
        part = slice(self.optimizer.group, None, self.optimizer.groups)
        return cross_entropy(model, {name: batch[name][part] for name in ("x", "y")})
