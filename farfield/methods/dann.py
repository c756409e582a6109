"""Domain-adversarial training of the features."""

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from farfield.losses import DomainAdversarial, reversal_strength
from farfield.methods.method import Choice, Fitted, Range, adamw, check_at_least, method, minimise, require_domains
from farfield.nn import features_and_logits
from farfield.tasks.task import Task
from farfield.train import Hook, evaluating, to_device


@method(
    "dann",
    source="Ganin et al., JMLR 2016",
    space={"weight": Range(0.01, 100.0, log=True), "width": Choice((64, 256, 1024))},
    needs_domains=True,
)
def dann(
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
    width: int = 256,
) -> Fitted:
    """Minimise the mean loss on features that keep a discriminator from telling the domains apart.

    One optimizer trains the model and the discriminator together, with the gradient reversed between them, as in the paper;
    DomainBed alternates steps of two optimizers. The reversal grows from 0 to ``weight`` over the training.

    **Arguments:** as `erm`; ``weight``: of the reversed gradient at the end, at least 0; ``width``: hidden units in each of
    the discriminator's two hidden layers.

    Raises InputError where the task has one training domain, or on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = dann(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    require_domains(task, "dann")
    check_at_least(0, weight=weight)
    check_at_least(1, width=width)
    adversarial = _discriminator(model, task, width=width, seed=seed)
    step = itertools.count(0)

    def loss(model: nn.Module, batch: dict) -> Tensor:
        features, logits = features_and_logits(model, batch["x"])
        strength = weight * reversal_strength(next(step) / steps)
        return nn.functional.cross_entropy(logits, batch["y"]) + adversarial(features, batch["domain"], strength)

    optimizer = adamw(model, learning_rate, weight_decay, *adversarial.parameters())
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


def _discriminator(model: nn.Module, task: Task, *, width: int, seed: int) -> DomainAdversarial:
    """Make the domain discriminator that fits the model's features."""
    device = next(model.parameters()).device
    with torch.no_grad(), evaluating(model):
        features, _ = features_and_logits(model, to_device(task.train[torch.arange(1)], device)["x"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Sequential(
            nn.Linear(features.shape[1], width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, len(task.domains)),
        )
    return DomainAdversarial(layers).to(device)
