"""Training whose predictions move little from step to step."""

from collections.abc import Iterable

from torch import nn

from farfield import optim
from farfield.losses import TrustRegionPenalty
from farfield.methods._two_passes import penalised
from farfield.methods.method import Fitted, Range, adamw, method, minimise
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "trpo",
    source="Schulman et al., ICML 2015; Sherborne et al., ICLR 2024",
    space={"weight": Range(0.01, 10.0, log=True)},
)
def trpo(
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
) -> Fitted:
    """Minimise the mean loss and the divergence of the predictions from those of one step ago.

    **Arguments:** as `erm`; ``weight``: of the penalty ``KL(p_{t-1} || p_t)``, at least 0,
    see `farfield.losses.TrustRegionPenalty`.

    Raises InputError on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = trpo(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    optimizer = adamw(model, learning_rate, weight_decay)
    reference = optim.PreviousStepReference().init(model)
    reference.follow(optimizer, model)
    loss = penalised(optimizer, TrustRegionPenalty(reference, weight=weight))
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
