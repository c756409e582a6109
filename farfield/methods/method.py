"""What a method is: a recipe that trains a model on a task, with its name, its source and its search space."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from farfield.batches import by_domain, uniform
from farfield.errors import InputError, unknown_name
from farfield.tasks.task import Task, column
from farfield.train import History, Hook, Loss, train


@dataclass(frozen=True)
class Range:
    """A hyper-parameter between ``low`` and ``high``; ``log`` searches it on a logarithmic scale.

    >>> Range(1e-4, 1e-2, log=True).high
    0.01
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """A hyper-parameter out of a few values.

    >>> Choice((0.1, 0.5)).values
    (0.1, 0.5)
    """

    values: tuple[float | int | str, ...]


@dataclass
class Fitted:
    """A trained model (not always the object that went in: averaging returns the average) and its history."""

    model: nn.Module
    history: History


@dataclass(frozen=True)
class Method:
    """A named recipe. Calling it is calling the recipe.

    **Fields:**
    - ``fit``: ``fit(model, task, *, steps, batch_size, seed, hooks, learning_rate, weight_decay, ...) -> Fitted``.
    - ``space``: the search space of the method's own hyper-parameters, besides learning rate and weight decay.
    - ``needs_domains``: it compares training domains, so it needs at least two of them.
    - ``needs_validation``: it chooses its weights itself by looking at ``task.val`` while it trains (as SWAD does), so
      no checkpoint is chosen for it.
    - ``inputs``: the kinds of inputs that it takes, such as ``(Image,)``; empty for any.
    - ``ablation``: a variant that a study needs for comparison; it can be named but is not among "all".
    - ``assemble``: where it returns another kind of model than it is given: ``assemble(model, task=task, **settings)``
      makes one of that kind, untrained, into which saved weights fit; of the task it may read all but its rows.
    - ``learning_rate_factor``: its default learning rate as a multiple of the model's (which is meant for AdamW).
    """

    name: str
    fit: Callable[..., Fitted]
    summary: str
    source: str
    space: Mapping[str, Range | Choice] = field(default_factory=dict)
    needs_domains: bool = False
    needs_validation: bool = False
    inputs: tuple[type, ...] = ()
    ablation: bool = False
    learning_rate_factor: float = 1.0
    assemble: Callable[..., nn.Module] | None = None

    def __call__(self, model: nn.Module, task: Task, **settings: Any) -> Fitted:
        return self.fit(model, task, **settings)

    @property
    def defaults(self) -> dict[str, Any]:
        """The recipe's own settings with their defaults, as its signature has them."""
        parameters = inspect.signature(self.fit).parameters.items()
        given = ("steps", "batch_size", "seed", "hooks")
        return {k: p.default for k, p in parameters if p.default is not p.empty and k not in given}


METHODS: dict[str, Method] = {}


def method(name: str, *, source: str, **fields: Any) -> Callable[[Callable[..., Fitted]], Callable[..., Fitted]]:
    """Register a recipe under a name; its docstring's first line becomes the summary.

    >>> METHODS["erm"].source
    'Vapnik, 1998'
    """

    def register(fit: Callable[..., Fitted]) -> Callable[..., Fitted]:
        METHODS[name] = Method(name, fit, summary=(fit.__doc__ or "").strip().splitlines()[0], source=source, **fields)
        return fit

    return register


def load(name: str) -> Method:
    """Return the method of this name: a built-in, one that another package offers, or the user's ``module:function``.

    Other packages add methods by entry points of the group ``farfield.methods`` that resolve to a `Method`. A user's
    ``module:name`` resolves to a `Method`, or to a function with the signature of a recipe.

    Raises InputError on an unknown name, with the nearest known ones.

    >>> load("erm").name
    'erm'
    """
    if name in METHODS:
        return METHODS[name]
    if ":" in name:
        from farfield.modules import load_object

        found = load_object(name, kind="method")
        return (
            found if isinstance(found, Method) else Method(name, found, (found.__doc__ or name).splitlines()[0], name)
        )
    from importlib.metadata import entry_points

    offered = {point.name: point for point in entry_points(group="farfield.methods")}
    if name in offered:
        return offered[name].load()
    raise unknown_name("method", name, [*METHODS, *offered])


def minimise(
    model: nn.Module,
    task: Task,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    hooks: Iterable[Hook] = (),
) -> Fitted:
    """Train with the batches that every method of a comparison shares, so that methods differ in nothing else."""
    batches = training_batches(task, batch_size, seed=seed)
    history = train(model, task.train, loss, optimizer, steps=steps, seed=seed, batches=batches, hooks=hooks)
    return Fitted(model, history)


def training_batches(task: Task, batch_size: int, *, seed: int) -> Iterator[Tensor]:
    """Return the stream of index batches into ``task.train``.

    With several training domains, each batch holds the same number of examples of each (as in DomainBed); with one,
    batches are drawn uniformly.

    >>> from farfield import tasks
    >>> next(training_batches(tasks.load("digits/rotation"), 16, seed=0)).shape
    torch.Size([16])
    """
    if len(task.domains) > 1:
        return by_domain(column(task.train, "domain"), batch_size, seed=seed)
    return uniform(len(task.train), batch_size, seed=seed)


def require_domains(task: Task, method: str) -> None:
    """Raise InputError where a method that compares training domains is given one only.

    >>> from farfield import tasks
    >>> require_domains(tasks.load("digits/rotation"), "irm")
    """
    if len(task.domains) < 2:
        raise InputError(
            f"{method} compares training domains, and the task {task.name} has {len(task.domains)}; it needs at least 2"
        )


def check_at_least(low: float | int, **settings: float | int) -> None:
    """Raise InputError where one of these settings is below ``low`` or no number.

    >>> check_at_least(0, weight=-1.0)
    Traceback (most recent call last):
    farfield.errors.InputError: weight is -1.0; it must be at least 0
    """
    for name, value in settings.items():
        if not value >= low:
            raise InputError(f"{name} is {value}; it must be at least {low}")


def cross_entropy(model: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    """Mean cross-entropy of ``model(batch["x"])`` (n, ..., classes) against ``batch["y"]`` (n, ...).

    >>> cross_entropy(nn.Identity(), {"x": torch.zeros(1, 2), "y": torch.tensor([0])})
    tensor(0.6931)
    """
    return label_loss(model(batch["x"]), batch["y"])


def label_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (n, classes), or (n, positions, classes) with a label at every position.

    >>> label_loss(torch.zeros(1, 3, 2), torch.tensor([[0, 1, 1]]))
    tensor(0.6931)
    """
    if logits.ndim == 2:
        return nn.functional.cross_entropy(logits, y)
    return nn.functional.cross_entropy(logits.flatten(0, -2), y.flatten().long())


def default_learning_rate(model: nn.Module, given: float | None, *, factor: float = 1.0) -> float:
    """Return the given learning rate, or the model's own (``model.learning_rate``, else 1e-3) times a factor.

    >>> default_learning_rate(nn.Linear(1, 1), None)
    0.001
    """
    return given if given is not None else factor * getattr(model, "learning_rate", 1e-3)


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that training may change.

    >>> len(trainable(nn.Linear(1, 1)))
    2
    """
    return [p for p in model.parameters() if p.requires_grad]


def adamw(model: nn.Module, learning_rate: float | None, weight_decay: float, *more: nn.Parameter) -> torch.optim.AdamW:
    """Return the optimizer that every recipe starts from: AdamW on what is trainable, and on ``more`` parameters.

    >>> adamw(nn.Linear(1, 1), None, 1e-4).defaults["lr"]
    0.001
    """
    return torch.optim.AdamW([*trainable(model), *more], **adamw_settings(model, learning_rate, weight_decay))


def adamw_settings(model: nn.Module, learning_rate: float | None, weight_decay: float) -> dict[str, Any]:
    """Return the settings of `adamw`, for optimizers that are built on it.

    A model may bring its own (``model.betas``, else 0.9 and 0.999), as it may its learning rate.

    >>> adamw_settings(nn.Linear(1, 1), 0.1, 0.0)["lr"]
    0.1
    """
    # One fused kernel over all parameters saves about a fifth of a small model's step; not every device has it.
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    lr = default_learning_rate(model, learning_rate)
    return {"lr": lr, "betas": getattr(model, "betas", (0.9, 0.999)), "weight_decay": weight_decay, "fused": fused}
