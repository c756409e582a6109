"""SWAD: the mean of all weights in the flat stretch of the training that the validation loss shows."""

import copy
import itertools
from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from torch.optim.swa_utils import update_bn

from farfield.errors import InputError
from farfield.methods.method import (
    Choice,
    Fitted,
    adamw,
    check_at_least,
    cross_entropy,
    method,
    minimise,
    trainable,
    training_batches,
)
from farfield.tasks.task import Task, column
from farfield.train import Hook, predict, to_device


@method(
    "swad",
    source="Cha et al., NeurIPS 2021",
    space={"tolerance": Choice((1.2, 1.3))},
    needs_validation=True,
)
def swad(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    start_patience: int = 3,
    end_patience: int = 6,
    tolerance: float = 1.3,
    evaluations: int = 25,
) -> Fitted:
    """Minimise the mean training loss and return the mean of the weights of every step between convergence and overfitting.

    Start and end are found from the loss on ``task.val`` (`LossValley`). The running statistics of batch normalisation are
    estimated anew for the mean, on training batches of one epoch.

    **Arguments:** as `erm`, except that hooks get the model that is being trained; ``start_patience``, ``end_patience``,
    ``tolerance``: see `LossValley`; ``evaluations``: how often the validation loss is looked at, at equal distances, at
    least ``start_patience`` (the official code does so every 50 to 300 of 5,000 to 15,000 steps).

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = swad(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    if evaluations < start_patience:
        raise InputError(f"evaluations is {evaluations}; it must be at least start_patience, {start_patience}")
    valley = LossValley(start_patience=start_patience, end_patience=end_patience, tolerance=tolerance)
    every = max(1, steps // evaluations)
    labels = column(task.val, "y").cpu()
    segment = _Mean()

    def average(step: int, model: nn.Module, _: float) -> None:
        if valley.ended:
            return
        segment.add(parameters_to_vector(trainable(model)).detach())
        if step % every == 0 or step == steps:
            loss = nn.functional.cross_entropy(predict(model, task.val), labels)
            valley.add(*segment.take(), float(loss))

    optimizer = adamw(model, learning_rate, weight_decay)
    fitted = minimise(
        model,
        task,
        cross_entropy,
        optimizer,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        hooks=[average, *hooks],
    )
    averaged = copy.deepcopy(model)
    _set_weights(averaged, valley.mean())
    _estimate_running_stats(averaged, task, batch_size=batch_size, seed=seed)
    return Fitted(averaged, fitted.history)


class LossValley:
    """The mean of the weights between the start and the end of the valley of the validation loss.

    With the loss ``E_i`` at evaluation i, the start is the first i that is no worse than the ``start_patience - 1``
    evaluations after it. The bound is ``tolerance`` times the mean of these ``start_patience`` losses. The end is the last
    evaluation before ``end_patience`` ones in a row are above the bound; without such, the last one (Cha et al., NeurIPS
    2021, Algorithm 1). Where no start was found, the mean is that of the last segment, as in the official code.

    Each evaluation brings the mean of the weights of the steps since the evaluation before, its segment, so that memory
    does not grow with the steps: ``end_patience`` segments and the mean are kept.

    Differs from the official code: that leaves out the segment of the start, and may start earlier where ``end_patience``
    is above ``start_patience``. Here both are as in the paper.

    **Arguments:** ``start_patience`` (N_s in the paper) and ``end_patience`` (N_e), in evaluations, at least 1;
    ``tolerance`` (r), at least 1.

    >>> valley = LossValley(start_patience=2, end_patience=1, tolerance=1.0)
    >>> for weights, loss in enumerate([9.0, 1.0, 1.0, 5.0, 0.0]):
    ...     valley.add(torch.tensor([float(weights)]), 1, loss)
    >>> valley.mean()
    tensor([1.5000])
    """

    def __init__(self, *, start_patience: int = 3, end_patience: int = 6, tolerance: float = 1.3):
        check_at_least(1, start_patience=start_patience, end_patience=end_patience, tolerance=tolerance)
        self.start_patience = start_patience
        self.end_patience = end_patience
        self.tolerance = tolerance
        self.bound: float | None = None
        self.ended = False
        self._recent: deque[tuple[Tensor, int, float]] = deque()
        self._mean = _Mean()

    def add(self, weights: Tensor, steps: int, loss: float) -> None:
        """Add an evaluation.

        **Arguments:** ``weights`` (p,): mean of the weights over the ``steps`` steps since the evaluation before;
        ``loss``: validation loss now.
        """
        if self.ended:
            return
        self._recent.append((weights, steps, loss))
        if self.bound is None:
            self._look_for_start()
            return
        # The start itself is never above the bound, so these are all evaluations that can be.
        if len(self._recent) < self.end_patience:
            return
        if min(e for *_, e in itertools.islice(reversed(self._recent), self.end_patience)) > self.bound:
            for _ in range(self.end_patience):
                self._recent.pop()
            self.ended = True
        self._settle(keep=0 if self.ended else self.end_patience)

    def _look_for_start(self) -> None:
        losses = [e for *_, e in self._recent]
        if len(losses) == self.start_patience and losses[0] == min(losses):
            self.bound = self.tolerance * sum(losses) / self.start_patience
            self._settle(keep=self.end_patience)
        elif len(losses) == self.start_patience:
            self._recent.popleft()

    def _settle(self, *, keep: int) -> None:
        """Move into the mean the segments that no later evaluation can exclude."""
        while len(self._recent) > keep:
            weights, steps, _ = self._recent.popleft()
            self._mean.add(weights, steps)

    def mean(self) -> Tensor:
        """Return the mean of the weights ``(p,)`` so far.

        Raises InputError before the first evaluation.
        """
        if self._mean.count == 0 and not self._recent:
            raise InputError("there is no evaluation yet, so no weights to average")
        if self.bound is None:
            return self._recent[-1][0]
        total = _Mean(self._mean)
        for weights, steps, _ in self._recent:
            total.add(weights, steps)
        return total.value


class _Mean:
    """A running mean of vectors."""

    def __init__(self, other: "_Mean | None" = None):
        self.value = other.value.clone() if other else torch.empty(0)
        self.count = other.count if other else 0

    def add(self, vector: Tensor, count: int = 1) -> None:
        self.count += count
        if self.count == count:
            self.value = vector.clone()
        else:
            self.value.lerp_(vector, count / self.count)

    def take(self) -> tuple[Tensor, int]:
        """Return the mean and how many it is of, and start anew."""
        taken = self.value, self.count
        self.value, self.count = torch.empty(0), 0
        return taken


@torch.no_grad()
def _set_weights(model: nn.Module, weights: Tensor) -> None:
    """Copy a vector into what is trainable. (torch's vector_to_parameters makes all parameters share its memory.)"""
    parameters = trainable(model)
    for p, values in zip(parameters, weights.split([p.numel() for p in parameters])):
        p.copy_(values.view_as(p))


def _estimate_running_stats(model: nn.Module, task: Task, *, batch_size: int, seed: int) -> None:
    """Set batch normalisation's running statistics from training batches of one epoch, without dropout's draws counting."""
    device = next(model.parameters()).device
    batches = itertools.islice(training_batches(task, batch_size, seed=seed), max(1, -(-len(task.train) // batch_size)))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        update_bn((to_device(task.train[rows], device)["x"] for rows in batches), model)
