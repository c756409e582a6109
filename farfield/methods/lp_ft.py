"""Linear probing, then fine-tuning."""

from collections.abc import Iterable

from torch import nn

from farfield.errors import InputError
from farfield.methods._new_parts import new_rate
from farfield.methods.method import (
    Choice,
    Fitted,
    cross_entropy,
    default_learning_rate,
    method,
    training_batches,
)
from farfield.reuse import lp_ft as probe_then_tune
from farfield.tasks.task import Task
from farfield.train import Hook


@method("lp-ft", source="Kumar et al., ICLR 2022", space={"probe": Choice((0.25, 0.5, 0.75))})
def lp_ft(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    probe: float = 0.5,
) -> Fitted:
    """Train the head on frozen features first, then the whole model, so that a random head does not spoil pretrained features.

    Made for pretrained models; without pretraining the first part fits a head to random features.
    It costs less than `erm`: a step of the first part is a forward pass.

    **Arguments:** as `erm`; ``probe``: share of the steps that train the head alone, from 0 (`erm`)
    to below 1. The head's learning rate is then 1e-3 at the model's own rate, and moves with it.

    Raises InputError on a share out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = lp_ft(nn.load("mlp?hidden=32", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    rate = default_learning_rate(model, learning_rate)
    probing = probe_steps(probe, steps)
    history = probe_then_tune(
        model,
        task.train,
        cross_entropy,
        probe_steps=probing,
        steps=steps - probing,
        learning_rate=rate,
        probe_learning_rate=new_rate(model, rate),
        weight_decay=weight_decay,
        seed=seed,
        batches=training_batches(task, batch_size, seed=seed),
        hooks=hooks,
    )
    return Fitted(model, history)


def probe_steps(share: float, steps: int) -> int:
    """Return how many of the steps train the head alone; at least one is left for the whole model.

    Raises InputError on a share outside [0, 1).

    >>> probe_steps(0.5, 9), probe_steps(0.9, 1)
    (4, 0)
    """
    if not 0 <= share < 1:
        raise InputError(f"probe is {share}; it must be at least 0 and below 1")
    return int(share * steps)
