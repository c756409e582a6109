"""How much of a model's accuracy hangs on a cue, and how much is lost outside the training distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor
from farfield.nn.evaluating import evaluating

Scores = nn.Module | Callable[[Any], Tensor]


@torch.no_grad()
def spurious_reliance(
    model: Scores,
    x: Any,
    y: Array,
    cue_setter: Callable[[Any, torch.Generator], Any],
    *,
    repeats: int = 1,
    seed: int = 0,
    batch_size: int = 1024,
) -> float:
    """Return by how much accuracy drops when a cue in the inputs is drawn anew at random, from -1 to 1.

    0 for a model that does not look at the cue, or looks at one that tells nothing. The cue must
    agree with the label in ``x`` for there to be anything to lose.

    **Arguments:**
    - ``model``: inputs -> scores (n, classes), or predicted classes (n,); a module is called in
      evaluation mode, on its own device.
    - ``x``: inputs, anything that slices by row; ``y``: (n,) right classes.
    - ``cue_setter``: ``(x, generator) -> x`` with the cue drawn at random, independent of the
      label; it must not change its argument.
    - ``repeats``: draws to average over, at least 1; ``seed``: of the draws.

    Raises InputError where rows do not match, there are none, or a number is below 1.

    Source: Roh et al., ICML 2024 (spurious features of pretraining and of fine-tuning).

    >>> import numpy as np
    >>> y = np.arange(1000) % 2
    >>> x = torch.tensor(np.eye(2)[y])  # the cue is the label
    >>> redraw = lambda x, g: torch.eye(2)[torch.randint(2, (len(x),), generator=g)]
    >>> round(spurious_reliance(lambda x: x, x, y, redraw), 1)
    0.5
    """
    labels = tensor(y, "y", dims=1)
    if len(x) != len(labels):
        raise InputError(f"x has {len(x)} rows but y has {len(labels)}; they must be the same examples")
    if repeats < 1 or batch_size < 1:
        raise InputError(f"repeats is {repeats} and batch_size {batch_size}; both must be at least 1")
    generator = torch.Generator().manual_seed(seed)
    before = _accuracy(model, x, labels, batch_size)
    after = [_accuracy(model, cue_setter(x, generator), labels, batch_size) for _ in range(repeats)]
    return before - sum(after) / repeats


@dataclass(frozen=True)
class OODGap:
    """What is lost outside the training distribution.

    **Fields:** ``near``: mean score inside; ``far``: mean score by test outside; ``gap``: near
    minus the mean of the far ones; ``worst``: near minus the lowest far one; ``standard_error`` of
    the gap, with the tests as given and examples independent.

    >>> OODGap(near=0.9, far={"snow": 0.7, "night": 0.5}, gap=0.3, worst=0.4, standard_error=0.02).worst
    0.4
    """

    near: float
    far: dict[str, float]
    gap: float
    worst: float
    standard_error: float


def ood_gap(near: Array, far: Mapping[str, Array]) -> OODGap:
    """Return how far the mean score falls from the near test to the far tests; below 0 where it rises.

    **Arguments:** ``near``: (n,) a score for each example, higher is better: 1 where it is right
    and 0 where not, or minus an error; ``far``: test -> (m,) the same. A test of a single example
    adds no variance to the standard error.

    Raises InputError where there is no far test, or a test is empty or holds a value that is not
    finite.

    >>> import numpy as np
    >>> found = ood_gap(np.array([1, 1, 1, 0]), {"snow": np.array([1, 0]), "night": np.array([0, 0])})
    >>> found.gap, found.worst, found.far
    (0.5, 0.75, {'snow': 0.5, 'night': 0.0})
    """
    if not far:
        raise InputError("far is empty; expected at least one test outside the training distribution")
    inside = tensor(near, "near", dims=1)
    outside = {name: tensor(values, f"far[{name!r}]", dims=1) for name, values in far.items()}
    mean = float(inside.mean())
    means = {name: float(values.mean()) for name, values in outside.items()}
    variance = _variance_of_mean(inside) + sum(_variance_of_mean(v) for v in outside.values()) / len(outside) ** 2
    values = means.values()
    return OODGap(mean, means, mean - sum(values) / len(values), mean - min(values), variance**0.5)


def _variance_of_mean(values: Tensor) -> float:
    return float(values.var() / len(values)) if len(values) > 1 else 0.0


def _accuracy(model: Scores, x: Any, y: Tensor, batch_size: int) -> float:
    if not isinstance(model, nn.Module):
        return _mean_right(model, x, y, batch_size)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with evaluating(model):
        return _mean_right(lambda rows: model(rows.to(device) if isinstance(rows, Tensor) else rows), x, y, batch_size)


def _mean_right(model: Callable[[Any], Any], x: Any, y: Tensor, batch_size: int) -> float:
    if len(x) != len(y):
        raise InputError(f"cue_setter returned {len(x)} rows for {len(y)}; it must keep the examples")
    predicted = []
    for i in range(0, len(y), batch_size):
        scores = torch.as_tensor(model(x[i : i + batch_size]))
        predicted.append((scores.argmax(-1) if scores.ndim > 1 else scores).cpu())
    found = torch.cat(predicted).double()
    same_rows(y=y, predictions=found)
    return float((found == y.cpu()).double().mean())
