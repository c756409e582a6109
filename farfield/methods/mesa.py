"""Training whose predictions stay near those of an average over the training."""

from collections.abc import Iterable

from torch import nn

from farfield import optim
from farfield.losses import TrustRegionPenalty
from farfield.methods._two_passes import penalised
from farfield.methods.method import Choice, Fitted, Range, adamw, method, minimise
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "mesa",
    source="Du et al., NeurIPS 2022",
    space={"weight": Range(0.01, 10.0, log=True), "decay": Choice((0.9, 0.99, 0.999))},
)
def mesa(
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
) -> Fitted:
    """Minimise the mean loss and the divergence of the predictions from those of a moving average of the weights.

    **Arguments:** as `erm`; ``weight``: of the penalty ``KL(p_ema || p_t)``, at least 0, see
    `farfield.losses.TrustRegionPenalty`; ``decay``: of the average, see `farfield.optim.EMAReference`.

    Raises InputError on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = mesa(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    optimizer = adamw(model, learning_rate, weight_decay)
    reference = optim.EMAReference(decay).init(model)
    reference.follow(optimizer, model)
    loss = penalised(optimizer, TrustRegionPenalty(reference, weight=weight))
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
