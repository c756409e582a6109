"""An exponential moving average of the weights."""

from collections.abc import Iterable

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from farfield.errors import InputError
from farfield.methods.method import Choice, Fitted, adamw, cross_entropy, method, minimise
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "weight-average",
    source="Polyak & Juditsky, 1992; Tarvainen & Valpola, NeurIPS 2017",
    space={"decay": Choice((0.9, 0.97, 0.99, 0.997))},
)
def weight_average(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    decay: float = 0.99,
) -> Fitted:
    """Minimise the mean training loss and return an exponential moving average of the weights along the way.

    ``average <- decay * average + (1 - decay) * weights`` after each step, from the weights after the first. The average is
    over about ``1 / (1 - decay)`` steps. Floating-point buffers, such as running statistics, are averaged in the same way.

    **Arguments:** as `erm`, except that each hook gets the averaged model; ``decay``: at least 0, below 1; 0 is `erm`.

    Raises InputError on a decay outside [0, 1).

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = weight_average(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    if not 0 <= decay < 1:
        raise InputError(f"decay is {decay}; it must be at least 0 and below 1")
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    hooks = tuple(hooks)

    def average(step: int, model: nn.Module, value: float) -> None:
        averaged.update_parameters(model)
        for hook in hooks:
            hook(step, averaged.module, value)

    optimizer = adamw(model, learning_rate, weight_decay)
    fitted = minimise(
        model, task, cross_entropy, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=[average]
    )
    return Fitted(averaged.module, fitted.history)
