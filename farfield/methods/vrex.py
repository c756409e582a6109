"""Risk extrapolation by the variance of the training domains' risks."""

from collections.abc import Iterable

from torch import Tensor, nn

from farfield.losses import VRExPenalty
from farfield.methods._annealing import Annealed
from farfield.methods.method import Fitted, Range, adamw, method, minimise, require_domains
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "vrex",
    source="Krueger et al., ICML 2021",
    space={"weight": Range(0.1, 1e5, log=True), "annealing": Range(2e-4, 1.0, log=True)},
    needs_domains=True,
)
def vrex(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    weight: float = 10.0,
    annealing: float = 0.1,
) -> Fitted:
    """Minimise the mean loss and, after a first phase, strongly the variance of the domains' losses.

    **Arguments:** as `erm`; ``weight`` and ``annealing``: as `irm`, applied to `farfield.losses.VRExPenalty`.

    Raises InputError where the task has one training domain, or on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = vrex(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    require_domains(task, "vrex")
    penalty = VRExPenalty()

    def risk_and_penalty(model: nn.Module, batch: dict) -> tuple[Tensor, Tensor]:
        losses = nn.functional.cross_entropy(model(batch["x"]), batch["y"], reduction="none")
        return losses.mean(), penalty(losses, batch["domain"])

    optimizer = adamw(model, learning_rate, weight_decay)
    loss = Annealed(risk_and_penalty, optimizer, weight=weight, annealing=annealing, steps=steps)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
