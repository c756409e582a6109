"""Training that is smooth against the worst small change of the input."""

from collections.abc import Iterable

from torch import nn

from farfield import optim
from farfield.losses import SMARTLoss
from farfield.methods._two_passes import penalised
from farfield.methods.method import Choice, Fitted, Range, adamw, method, minimise
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "smart",
    source="Jiang et al., ACL 2020",
    space={"weight": Range(0.01, 10.0, log=True), "radius": Choice((1e-5, 1e-3, 1e-2, 1e-1))},
)
def smart(
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
    radius: float = 1e-2,
    decay: float = 0.99,
    ascents: int = 1,
    at: str = "input",
) -> Fitted:
    """Minimise the mean loss and how far predictions move under the worst small change of the input; a step costs three.

    The penalty also holds the predictions near those of a moving average of the weights. Each ascent starts from normal noise
    of a tenth of the radius and steps as far as the radius.

    Differs from the paper in: the default radius, which is 1e-5 there, for word embeddings.

    **Arguments:** as `erm`; ``weight``, ``radius``, ``at``: see `farfield.losses.SMARTLoss`; ``decay``: of the average (the
    paper: 0.99, then 0.999); ``ascents``: steps to find the change, at least 1.

    Raises InputError on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = smart(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    optimizer = adamw(model, learning_rate, weight_decay)
    reference = optim.EMAReference(decay).init(model)
    reference.follow(optimizer, model)
    penalty = SMARTLoss(
        reference, weight=weight, radius=radius, step_size=radius, sigma=radius / 10, steps=ascents, at=at, seed=seed
    )
    loss = penalised(optimizer, penalty)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
