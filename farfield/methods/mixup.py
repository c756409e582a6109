"""Mixup: training on lines between pairs of examples."""

from collections.abc import Iterable

from torch import Tensor, nn

from farfield.augment import Mixup
from farfield.errors import InputError
from farfield.methods.method import Fitted, Range, adamw, cross_entropy, method, minimise
from farfield.tasks.task import Task, Text, Tokens
from farfield.train import Hook


@method("mixup", source="Zhang et al., ICLR 2018", space={"alpha": Range(0.1, 10.0, log=True)})
def mixup(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    alpha: float = 0.2,
) -> Fitted:
    """Minimise the loss of mixed pairs of examples and their mixed labels.

    Pairs are drawn from the whole batch, so also across training domains.

    **Arguments:** as `erm`; ``alpha``: see `farfield.augment.Mixup`.

    Raises InputError on tasks of tokens, which cannot be mixed.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = mixup(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    if isinstance(task.inputs, Text | Tokens):
        raise InputError(f"mixup mixes numbers, and the task {task.name} has {task.inputs}")
    mix = Mixup(task.outputs.count, alpha=alpha, seed=seed)

    def loss(model: nn.Module, batch: dict) -> Tensor:
        return cross_entropy(model, mix(batch))

    optimizer = adamw(model, learning_rate, weight_decay)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
