"""How far the gradients of single examples agree: alpha and m-coherence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor
from farfield.measure.coherence._examples import examples
from farfield.nn.evaluating import evaluating
from farfield.nn.per_example import ExampleLoss, per_example_gradients

# Bytes of gradients at a time: larger pieces are no faster.
BUDGET = 2**25


@dataclass(frozen=True)
class Coherence:
    """How far the gradients g_1..g_m of m examples point the same way.

    **Fields:**
    - ``alpha``: ``|mean g|^2 / mean |g|^2``, from 0 to 1: the first-order fall of the loss by a step along the mean gradient, over
      that if every example could take a step along its own. 1: all gradients are equal; 1/m: orthogonal. 0 also where all are zero.
    - ``m_coherence``: ``m * alpha = |sum g|^2 / sum |g|^2``, from 0 to m: how many examples profit from a step along one's gradient.
      It grows with m: compare it at equal m only.
    - ``alpha_offdiag``: alpha over pairs of different examples, ``(m_coherence - 1) / (m - 1)``: 0 is orthogonal at any m; it can be
      negative, down to -1/(m-1). 0 where all gradients are zero.
    - ``m``: the number of examples.
    - ``share``: of ``sum |g|^2`` that is in this group of parameters; 1 for all of them. Whole alpha = sum of share * alpha of groups.
    - ``per_group``: the same of each group of parameters, by name; empty where none were asked for.

    >>> Coherence(alpha=0.5, m_coherence=1.0, alpha_offdiag=0.0, m=2).share
    1.0
    """

    alpha: float
    m_coherence: float
    alpha_offdiag: float
    m: int
    share: float = 1.0
    per_group: Mapping[str, "Coherence"] = field(default_factory=dict)


def gradient_coherence(
    model: nn.Module,
    loss_fn: ExampleLoss,
    x: Array,
    y: Array,
    *,
    groups: Literal["layer"] | None = None,
    chunk: int | None = None,
) -> Coherence:
    """Return the coherence of the gradients of single examples at the model's parameters, in one pass over the examples.

    Only the sum of the gradients and the sum of their squared norms are kept, so memory does not grow with the number of
    examples. The model is measured in evaluation mode over its trainable parameters, and comes back as it was, its own
    gradients included.

    High early in training on labels that can be told from the input, near 1 (m-coherence) on random ones (Chatterjee and
    Zielinski, 2022). Compare at equal m and at comparable loss: where most examples are fitted, a few hard ones are all that is left.

    **Arguments:**
    - ``loss_fn``: ``loss_fn(model(x), y)`` -> (n,), a loss for each example (``reduction="none"``).
    - ``x`` (n, ...), ``y`` (n, ...): at least two examples; numpy or torch, moved to the model's device piece by piece.
    - ``groups``: "layer" also measures the parameters of each module on their own, by its name.
    - ``chunk``: how many gradients to hold at once; None takes as many as fit into 32 MiB, from 1 to 256.

    Raises InputError as `farfield.nn.per_example_gradients` does, on fewer than two examples, values that are not finite (a
    gradient's too), unknown groups and a chunk below 1.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> loss = lambda outputs, y: outputs[:, 0]  # whose gradient is the input
    >>> round(gradient_coherence(model, loss, torch.eye(2), torch.zeros(2)).m_coherence, 3)
    1.0
    """
    if groups not in (None, "layer"):
        raise InputError(f"groups is {groups!r}; it must be None or 'layer'")
    x, y = examples(model, x, y)
    m = len(x)
    if m < 2:
        raise InputError("x has 1 row; coherence needs at least 2 examples")
    params = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if chunk is None:
        size = sum(p.numel() * p.element_size() for p in params.values())
        chunk = int(min(max(BUDGET // max(size, 1), 1), 256))
    if chunk < 1:
        raise InputError(f"chunk is {chunk}; it must be at least 1")
    sums: dict[str, Tensor] = {}
    squares = {name: torch.zeros((), dtype=torch.float64, device=p.device) for name, p in params.items()}
    with evaluating(model):
        for at in torch.arange(m).split(chunk):
            here = [v[at].to(next(iter(params.values())).device if params else "cpu") for v in (x, y)]
            _, gradients = per_example_gradients(model, loss_fn, *here)
            for name, g in gradients.items():
                g = g if g.dtype in (torch.float32, torch.float64) else g.float()
                # Norms, not squares: no second array as large as the gradients.
                squares[name] += torch.linalg.vector_norm(g.flatten(1), dim=1).double().square().sum()
                # A product with ones: twice as fast as a sum over rows.
                added = (torch.ones(len(g), dtype=g.dtype, device=g.device) @ g.flatten(1)).reshape(g.shape[1:])
                sums[name] = sums[name].add_(added) if name in sums else added
    lengths = {name: float(torch.linalg.vector_norm(s).double().square()) for name, s in sums.items()}
    total = {name: float(s) for name, s in squares.items()}
    if not np.isfinite([*lengths.values(), *total.values()]).all():
        raise InputError("the gradient of an example is not finite; look for its loss")
    everything = _coherence(sum(lengths.values()), sum(total.values()), m)
    if groups is None:
        return everything
    members: dict[str, list[str]] = {}
    for name in params:
        members.setdefault(name.rpartition(".")[0], []).append(name)
    whole = sum(total.values())
    per_group = {
        group: _coherence(sum(lengths[n] for n in names), sum(total[n] for n in names), m, whole)
        for group, names in members.items()
    }
    return Coherence(**{**everything.__dict__, "per_group": per_group})


def coherence_from_gradients(gradients: Array) -> Coherence:
    """Return the coherence of gradients that are at hand.

    **Arguments:** ``gradients`` (m, p): a row for each example, all its parameters flattened; at least two rows. Where the rows
    are gradients of mini-batches their alpha is inflated about as many times as a batch has examples: see `coherence_from_batches`.

    Raises InputError on another shape, and on values that are not finite.

    >>> found = coherence_from_gradients(np.array([[1.0, 0.0], [1.0, 1.0]]))
    >>> round(found.alpha, 4), round(found.m_coherence, 4), round(found.alpha_offdiag, 4)
    (0.8333, 1.6667, 0.6667)
    """
    g = tensor(gradients, "gradients", rows=2)
    largest = g.abs().max()
    if largest > 0:
        # Alpha does not depend on the scale, and squares of extreme numbers would overflow or vanish.
        g = g / largest
    return _coherence(float(g.sum(0).square().sum()), float(g.square().sum()), len(g))


def _coherence(length: float, total: float, m: int, whole: float | None = None) -> Coherence:
    """From ``|sum g|^2``, ``sum |g|^2`` and the latter of all groups."""
    if total == 0:
        return Coherence(0.0, 0.0, 0.0, m, 1.0 if whole is None else 0.0)
    # Rounding must not lift equal gradients above m.
    ratio = min(length / total, float(m))
    return Coherence(ratio / m, ratio, (ratio - 1) / (m - 1), m, 1.0 if whole is None else total / whole)
