"""How much the loss can rise within a tiny box around the parameters."""

import copy
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.nn.evaluating import evaluating

Loss = Callable[[nn.Module, Any], Tensor]


def epsilon_sharpness(
    model: nn.Module,
    loss_fn: Loss,
    loader: Iterable[Any],
    *,
    e: float = 1e-5,
    steps: int = 100,
    lr: float = 8e-5,
    accumulation: int = 4,
) -> float:
    """Return by how many percent the loss can rise: ``100 * (max L(theta + y) - L(theta)) / (1 + L(theta))``.

    The maximum is over ``|y_i| <= e * (|theta_i| + 1)`` (Keskar et al., ICLR 2017, definition 1, with A the identity), sought
    by projected gradient ascent from y = 0 with a fixed step, as TRAM's paper does. It is a lower bound: the best of the
    points visited, looked at ten times along the way, and never below 0.

    The model is measured in evaluation mode, over its trainable parameters, and comes back bit for bit, gradients included.

    **Arguments:**
    - ``loss_fn``: ``loss_fn(model, batch)`` -> mean loss of the batch, a scalar tensor.
    - ``loader``: batches, iterated many times over, each of one size (the paper: 32); L is the mean over all.
    - ``e``: half the box's width relative to ``|theta| + 1``, above 0. Small trained networks may need 1e-3 to show anything.
    - ``steps``: of the ascent, at least 1, each with the mean gradient of ``accumulation`` batches.
    - ``lr``: step size, above 0. The box is reached where ``lr * steps * |gradient|`` is above ``e``.

    Raises InputError on an argument out of range, a loader that is empty or can be read only once, or a loss that is not finite.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.ones_(model.weight)
    >>> loss = lambda model, batch: model(batch).mean()  # L = theta = 1, and 1 + 2 e at most
    >>> round(epsilon_sharpness(model, loss, [torch.ones(1, 1)], e=0.01, lr=0.1), 3)
    1.0
    """
    for name, value in {"e": e, "lr": lr}.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(f"{name} is {value}; it must be above 0 and finite")
    for name, value in {"steps": steps, "accumulation": accumulation}.items():
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    if iter(loader) is loader:
        raise InputError("loader can be read only once; give a list of batches or a DataLoader")
    # On a copy: the model keeps its parameters and gradients whatever happens here.
    with evaluating(model):
        moved = copy.deepcopy(model)
    params = [p for p in moved.parameters() if p.requires_grad]
    if not params:
        raise InputError(f"{type(model).__name__} has no trainable parameter, so there is no direction to look in")
    before = [p.detach().clone() for p in params]
    bounds = [e * (p.abs() + 1) for p in before]
    base = _mean_loss(moved, loss_fn, loader)
    highest = base
    look_at = {math.ceil(steps * i / 10) for i in range(1, 11)}
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    for step in range(1, steps + 1):
        gradients: list[Tensor] | None = None
        for batch in itertools.islice(batches, accumulation):
            found = torch.autograd.grad(loss_fn(moved, batch) / accumulation, params, allow_unused=True)
            found = [torch.zeros_like(p) if g is None else g for p, g in zip(params, found)]
            gradients = found if gradients is None else list(torch._foreach_add(gradients, found))
        assert gradients is not None
        with torch.no_grad():
            for p, g, start, bound in zip(params, gradients, before, bounds):
                p.add_(lr * g).clamp_(start - bound, start + bound)
        if step in look_at:
            highest = max(highest, _mean_loss(moved, loss_fn, loader))
    return 100 * (highest - base) / (1 + base)


@torch.no_grad()
def _mean_loss(model: nn.Module, loss_fn: Loss, loader: Iterable[Any]) -> float:
    losses = [loss_fn(model, batch) for batch in loader]
    if not losses:
        raise InputError("loader has no batch to measure the loss on")
    mean = float(torch.stack([value.detach().double() for value in losses]).mean())
    if not math.isfinite(mean):
        raise InputError(f"the loss is {mean}; the sharpness needs a finite one")
    return mean
