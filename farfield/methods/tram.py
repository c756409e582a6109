"""Trust-region aware minimisation: sharpness-aware, as far as predictions have moved."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from farfield import optim
from farfield.losses import divergence
from farfield.losses.divergence import check_kind
from farfield.methods._two_passes import counted_once
from farfield.methods.method import (
    Choice,
    Fitted,
    Range,
    adamw_settings,
    cross_entropy,
    label_loss,
    method,
    minimise,
    trainable,
)
from farfield.nn.extra_pass import InputNoise, changed_logits
from farfield.tasks.task import Task
from farfield.train import Hook

SOURCE = "Sherborne et al., ICLR 2024"


@method("tram", source=SOURCE)
def tram(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    max_radius: float | None = None,
    distance: str = "kl_forward",
    radii: list[float] | None = None,
) -> Fitted:
    """Minimise the mean training loss at the worst point nearby, as far as the last step moved predictions.

    The distance is ``KL(p_{t-1} || p_t)`` on the batch, the earlier model in evaluation mode: without dropout in the model it is
    close to 0, and this close to `erm`. A step is three forward and two backward passes.

    **Arguments:** as `erm`; ``max_radius``: see `farfield.optim.TRAM`; ``distance``: a kind of `farfield.losses.divergence`;
    ``radii``: a list that gets the distance of every step.

    Raises InputError on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = tram(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    reference = optim.PreviousStepReference()
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.TRAM(trainable(model), torch.optim.AdamW, max_radius=max_radius, **settings)
    loss = _TrustRegion(model, optimizer, reference, distance, radii)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


@method(
    "tram-pretrained",
    source=SOURCE,
    space={"max_radius": Choice((0.1, 0.5, 2.0))},
)
def tram_pretrained(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    max_radius: float | None = 2.0,
    distance: str = "kl_forward",
    radii: list[float] | None = None,
) -> Fitted:
    """Minimise the mean training loss at the worst point nearby, as far as predictions are from the first model's.

    The distance is ``KL(p_0 || p_t)`` on the batch, with p_0 the model as it comes in, in evaluation mode: sensible for a model
    that is pretrained. The head must be, too: a new one makes p_0 a guess. A step is three forward and two
    backward passes.

    Differs from the paper in: the distance counts as ``max_radius`` where it is larger, for it grows with the training. The
    default is the largest radius that ASAM is searched over; None is the paper's.

    **Arguments:** as `erm`; ``max_radius``: see `farfield.optim.TRAM`; ``distance``: a kind of `farfield.losses.divergence`;
    ``radii``: a list that gets the distance of every step.

    Raises InputError on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = tram_pretrained(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    reference = optim.PretrainedReference()
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.TRAM(trainable(model), torch.optim.AdamW, max_radius=max_radius, **settings)
    loss = _TrustRegion(model, optimizer, reference, distance, radii)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


@method(
    "tram-x",
    source=SOURCE,
    space={"sigma": Choice((0.01, 0.1, 0.3, 1.0))},
)
def tram_x(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    sigma: float = 0.1,
    noise: str = "normal",
    at: str = "input",
    max_radius: float | None = None,
    distance: str = "kl_forward",
    radii: list[float] | None = None,
) -> Fitted:
    """Minimise the mean training loss at the worst point nearby, as far as noise on the input moves predictions.

    The distance is ``KL(p(x + z) || p(x))`` on the batch, with dropout as in training. A step is three forward and two
    backward passes.

    **Arguments:** as `erm`; ``sigma``, ``noise`` (its kind), ``at``: see `farfield.optim.InputNoiseReference`;
    ``max_radius``, ``distance``, ``radii``: as `tram`.

    Raises InputError on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = tram_x(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    reference = optim.InputNoiseReference(sigma, noise, at, seed=seed)
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.TRAM(trainable(model), torch.optim.AdamW, max_radius=max_radius, **settings)
    loss = _TrustRegion(model, optimizer, reference, distance, radii)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


@method(
    "tram-fisher",
    source=SOURCE,
    space={
        "gamma": Range(0.01, 1.0, log=True),
        "eta": Range(0.01, 10.0, log=True),
        "sigma": Choice((0.01, 0.1, 0.3, 1.0)),
    },
)
def tram_fisher(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    gamma: float = 0.1,
    eta: float = 0.1,
    sigma: float = 0.1,
    noise: str = "normal",
    at: str = "input",
) -> Fitted:
    """Minimise the mean training loss at the worst point nearby by the Fisher information of noised inputs.

    The first pass of a step is on noised inputs, the second on the inputs themselves; a step costs two. The history holds the
    losses of the first.

    **Arguments:** as `erm`; ``gamma``, ``eta``: see `farfield.optim.TRAMFisher`; ``sigma``, ``noise``, ``at``: as `tram_x`.

    Raises InputError on a setting out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = tram_fisher(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    added = InputNoise(sigma, kind=noise, seed=seed)
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.TRAMFisher(trainable(model), torch.optim.AdamW, gamma=gamma, eta=eta, **settings)

    def loss(model: nn.Module, batch: dict[str, Any]) -> Tensor:
        if optimizer.perturbed:
            with counted_once(optimizer, model):
                return cross_entropy(model, batch)
        return label_loss(changed_logits(model, batch, added, at=at), batch["y"])

    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


class _TrustRegion:
    """The cross-entropy, whose logits of the first pass serve for the distance that the optimizer asks for."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: optim.TRAM,
        reference: optim.Reference,
        distance: str,
        radii: list[float] | None,
    ):
        check_kind(distance)
        self.optimizer, self.reference, self.distance, self.radii = optimizer, reference.init(model), distance, radii
        reference.follow(optimizer, model)
        optimizer.divergence = self.measure

    def __call__(self, model: nn.Module, batch: dict[str, Any]) -> Tensor:
        with counted_once(self.optimizer, model):
            logits = model(batch["x"])
        if not self.optimizer.perturbed:
            self.first_pass = model, batch, logits.detach()
        return label_loss(logits, batch["y"])

    def measure(self) -> Tensor:
        """Return the distance of the first pass's predictions from the reference's."""
        model, batch, logits = self.first_pass
        value = divergence(self.reference.logits(model, batch), logits, self.distance)
        if self.radii is not None:
            self.radii.append(float(value))
        return value
