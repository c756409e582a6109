"""Which examples a gradient step comes from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._arrays import Array
from farfield.measure.coherence._examples import examples
from farfield.nn.evaluating import evaluating
from farfield.nn.per_example import ExampleLoss, check_separable, one_loss_each

CHUNK = 1024


@dataclass(frozen=True)
class GradientShare:
    """The part of a gradient step that some examples are responsible for.

    **Fields:**
    - ``share``: f_P, of the first-order fall of the loss; the shares of examples and of all others add up to 1. Below 0: their
      gradients work against the step; above 1: those of the others do.
    - ``squared_norm``: ``<g, g>``, the weight of a step in a mean of shares over training.

    >>> GradientShare(share=0.7, squared_norm=2.0).share
    0.7
    """

    share: float
    squared_norm: float


def gradient_share(model: nn.Module, loss_fn: ExampleLoss, x: Array, y: Array, mask: Array) -> GradientShare:
    """Return the share of some examples in the step along the gradient of all: ``<g, g_P> / <g, g>``, ``g = g_P + g_Q``.

    With the examples whose label is right as P, it tells how much of what is learned from noisy labels is learned from right ones
    (Chatterjee and Zielinski, 2022). Both are means over all examples. The model is measured in evaluation mode over its
    trainable parameters; it and its gradients are left alone.

    **Arguments:** ``loss_fn``, ``x`` (n, ...), ``y`` (n, ...): as in `gradient_coherence`; ``mask`` (n,) bool: True for P. All
    True gives 1, all False 0.

    Raises InputError on examples that do not fit, a mask of another shape or type, a loss that is not one for each example, and a
    gradient of zero, which has no parts.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> x = torch.tensor([[1.0, 1.0], [1.0, 0.0]])  # the gradients
    >>> round(gradient_share(model, lambda out, y: out[:, 0], x, torch.zeros(2), torch.tensor([True, False])).share, 3)
    0.6
    """
    x, y = examples(model, x, y)
    chosen = torch.as_tensor(np.asarray(mask) if not isinstance(mask, Tensor) else mask)
    if chosen.dtype != torch.bool or chosen.shape != (len(x),):
        raise InputError(
            f"mask is {chosen.dtype} of shape {tuple(chosen.shape)}; expected bool of shape ({len(x)},), one for each example"
        )
    params = [p for p in model.parameters() if p.requires_grad]
    if not params:
        raise InputError(f"{type(model).__name__} has no trainable parameter, so there is no gradient")
    device = params[0].device
    both: list[list[Tensor]] = [[torch.zeros_like(p) for p in params] for _ in range(2)]
    with evaluating(model), torch.enable_grad():
        check_separable(model)
        for at in torch.arange(len(x)).split(CHUNK):
            losses = one_loss_each(loss_fn, model(x[at].to(device)), y[at].to(device)) / len(x)
            inside = chosen[at.to(chosen.device)].to(device)
            parts = (losses[inside].sum(), losses[~inside].sum())
            for side, part in enumerate(parts):
                found = torch.autograd.grad(part, params, retain_graph=side == 0, allow_unused=True)
                torch._foreach_add_(
                    both[side], [torch.zeros_like(p) if g is None else g for p, g in zip(params, found)]
                )
    within = sum(float((p.double() * p.double()).sum()) for p in both[0])
    across = sum(float((p.double() * q.double()).sum()) for p, q in zip(*both))
    rest = sum(float((q.double() * q.double()).sum()) for q in both[1])
    whole = within + 2 * across + rest
    if not np.isfinite(whole):
        raise InputError("the gradient is not finite; look for a loss that is not")
    if whole <= 0:
        raise InputError("the gradient of all examples is zero, so it has no parts")
    return GradientShare((within + across) / whole, whole)
