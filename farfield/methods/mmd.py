"""Maximum mean discrepancy between the training domains' features."""

from collections.abc import Iterable

from torch import Tensor, nn

from farfield.losses import MMDPenalty
from farfield.methods.method import Fitted, Range, adamw, check_at_least, method, minimise, require_domains
from farfield.nn import features_and_logits
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "mmd",
    source="Li et al., CVPR 2018",
    space={"weight": Range(0.1, 10.0, log=True)},
    needs_domains=True,
)
def mmd(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    weight: float = 1.0,
) -> Fitted:
    """Minimise the mean loss and the maximum mean discrepancy between the domains' features.

    **Arguments:** as `erm`; ``weight``: of the penalty, at least 0, see `farfield.losses.MMDPenalty`.

    Raises InputError where the task has one training domain, or on a negative weight.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = mmd(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    require_domains(task, "mmd")
    check_at_least(0, weight=weight)
    penalty = MMDPenalty()

    def loss(model: nn.Module, batch: dict) -> Tensor:
        features, logits = features_and_logits(model, batch["x"])
        return nn.functional.cross_entropy(logits, batch["y"]) + weight * penalty(features, batch["domain"])

    optimizer = adamw(model, learning_rate, weight_decay)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
