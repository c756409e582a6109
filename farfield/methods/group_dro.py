"""Group distributionally robust optimisation over the training domains."""

from collections.abc import Iterable

from torch import Tensor, nn

from farfield.losses import GroupDRO
from farfield.methods.method import Fitted, Range, adamw, method, minimise, require_domains
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "group-dro",
    source="Sagawa et al., ICLR 2020",
    space={"eta": Range(1e-3, 1e-1, log=True)},
    needs_domains=True,
)
def group_dro(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    eta: float = 0.01,
) -> Fitted:
    """Minimise a weighted mean of the domains' losses, with growing weights on those that do badly.

    **Arguments:** as `erm`; ``eta``: see `farfield.losses.GroupDRO`.

    Raises InputError where the task has one training domain.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = group_dro(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    require_domains(task, "group-dro")
    robust = GroupDRO(len(task.domains), eta=eta).to(next(model.parameters()).device)

    def loss(model: nn.Module, batch: dict) -> Tensor:
        losses = nn.functional.cross_entropy(model(batch["x"]), batch["y"], reduction="none")
        return robust(losses, batch["domain"])

    optimizer = adamw(model, learning_rate, weight_decay)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
