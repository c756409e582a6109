"""Training that predicts the same under a little noise on the input."""

import copy
from collections.abc import Iterable

import torch
from torch import nn

from farfield.errors import InputError
from farfield.losses import R3FLoss
from farfield.methods._two_passes import penalised
from farfield.methods.method import Choice, Fitted, Range, adamw, method, minimise
from farfield.tasks.task import Task
from farfield.train import Hook, evaluating

SPACE = {"weight": Range(0.01, 10.0, log=True), "sigma": Choice((0.01, 0.1, 0.3, 1.0))}


@method("r3f", source="Aghajanyan et al., ICLR 2021", space=SPACE)
def r3f(
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
    sigma: float = 0.1,
    noise: str = "normal",
    at: str = "input",
) -> Fitted:
    """Minimise the mean loss and how far predictions move under noise on the input.

    **Arguments:** as `erm`; ``weight``, ``sigma``, ``noise`` (its kind), ``at``: see `farfield.losses.R3FLoss`.

    Raises InputError on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = r3f(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    optimizer = adamw(model, learning_rate, weight_decay)
    loss = penalised(optimizer, R3FLoss(weight=weight, sigma=sigma, kind=noise, at=at, seed=seed))
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


@method("r4f", source="Aghajanyan et al., ICLR 2021", space=SPACE)
def r4f(
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
    sigma: float = 0.1,
    noise: str = "normal",
    at: str = "input",
) -> Fitted:
    """Minimise the mean loss and how far predictions move under noise, with a head of spectral norm 1.

    The head is ``model.head``, else the last ``nn.Linear``. Its weight is divided by its largest singular value, found by power
    iteration, in training; the model that comes out, and that hooks see, has the divided weight and is otherwise as it was.

    **Arguments:** as `r3f`.

    Raises InputError on a setting out of range, or where the model has no linear head.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = r4f(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    name = _head(model)
    head = model.get_submodule(name)
    if sum(module is not head and getattr(module, "weight", None) is head.weight for module in model.modules()):
        raise InputError(
            "r4f divides the head's weight, and this model's head shares it with another layer (its input embedding)"
        )
    # A twin with all of the model's tensors but the head's weight, so that only the twin's head is normalised.
    shared = {id(t): t for t in [*model.parameters(), *model.buffers()] if t is not head.weight}
    twin = copy.deepcopy(model, shared)
    twin_head = twin.get_submodule(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nn.utils.parametrizations.spectral_norm(twin_head)

    @torch.no_grad()
    def hand_over(step: int, _: nn.Module, value: float) -> None:
        with evaluating(twin_head):  # in training mode, looking at the weight moves the power iteration
            head.weight.copy_(twin_head.weight)
        for hook in hooks:
            hook(step, model, value)

    hooks = tuple(hooks)
    optimizer = adamw(twin, learning_rate, weight_decay)
    loss = penalised(optimizer, R3FLoss(weight=weight, sigma=sigma, kind=noise, at=at, seed=seed))
    fitted = minimise(twin, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=[hand_over])
    return Fitted(model, fitted.history)


def _head(model: nn.Module) -> str:
    """Return the name of the layer that makes the logits."""
    if isinstance(getattr(model, "head", None), nn.Linear):
        return "head"
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name]
    if not linear:
        raise InputError(f"r4f normalises the last nn.Linear, and {type(model).__name__} has none")
    return linear[-1]
