"""What outputs do when a representation is pushed along a feature, or cut down to its leading principal components."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor
from farfield.measure.variance import _rows
from farfield.measure.variance.feature_variance import principal_axes
from farfield.nn.evaluating import evaluating

Head = Callable[[Tensor], Tensor]
Decide = Callable[[Tensor], Tensor]


def positive(outputs: Tensor) -> Tensor:
    """Return the decisions of binary outputs: whether each logit is above 0.

    >>> positive(torch.tensor([[0.5, -2.0]])).tolist()
    [[True, False]]
    """
    return outputs > 0


def feature_direction(reps: Float[Array, "n h"], feature: Array) -> Float[Array, " h"]:
    """Return the direction of a binary feature: the mean where it has its larger value minus the mean where its smaller.

    **Arguments:** ``reps``: (n, h); ``feature``: (n,) of exactly two values.

    Raises InputError where rows do not match, a value is not finite, or the feature has not two values.

    Source: Lampinen, Chan, Hermann, TMLR 2024 (``v_f`` of the interventions).

    >>> import numpy as np
    >>> feature_direction(np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]), np.array([0, 1, 1])).tolist()
    [3.0, 0.0]
    """
    x = _rows.representations(reps)
    on = binary_rows(feature, x)
    return like(_rows.mean(x, on[1]) - _rows.mean(x, on[0]), reps)


def binary_rows(feature: Array, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indices of the rows with the smaller value of a binary feature, and of those with the larger."""
    on = _rows.binary(feature, "feature", x)
    return torch.nonzero(~on).flatten(), torch.nonzero(on).flatten()


@torch.no_grad()
def flip_curve(
    head: Head,
    reps: Float[Array, "n h"],
    direction: Float[Array, " h"],
    alphas: Sequence[float],
    *,
    values: Array | None = None,
    decide: Decide = positive,
    batch_size: int = 4096,
) -> Float[Array, "alphas outputs"]:
    """Return for each output the share of rows whose decision flips when ``alpha * direction`` is added to the representation.

    **Arguments:**
    - ``head``: what follows the representation, (m, h) -> outputs (m, outputs); a module is called in evaluation mode.
    - ``direction``: (h,), such as `feature_direction` of other rows; alphas are then in units of its length. Divided by its
      length, they are absolute.
    - ``values``: (n,) the feature of each row, two values: each row is pushed toward the other value, so minus the direction
      where it has the larger one. Without it every row is pushed along plus ``alpha * direction``.
    - ``decide``: outputs -> decisions (m, ...): by default `positive`; ``lambda o: o.argmax(-1)`` for classes.

    Raises InputError where shapes do not match or a number is not finite.

    Source: Lampinen, Chan, Hermann, TMLR 2024 (causal interventions).

    >>> import numpy as np
    >>> reps = np.array([[1.0, 1.0], [3.0, -1.0], [-1.0, 1.0]])
    >>> flip_curve(lambda x: x, reps, np.array([2.0, 0.0]), [0, 1, 2], values=np.array([1, 1, 0])).round(2).tolist()
    [[0.0, 0.0], [0.67, 0.0], [1.0, 0.0]]
    """
    x = _rows.representations(reps)
    step = tensor(direction, "direction", dims=1, dtype=x.dtype).to(x.device)
    if len(step) != x.shape[1]:
        raise InputError(
            f"direction has {len(step)} entries but reps has {x.shape[1]} columns; they must be the same units"
        )
    sizes = _finite(alphas, "alphas")
    sign = torch.ones(len(x), 1, dtype=x.dtype, device=x.device)
    if values is not None:
        sign[_rows.binary(values, "values", x)] = -1
    before = _decisions(head, x, decide, batch_size)
    rates = [(_decisions(head, x + sign * (a * step), decide, batch_size) != before).double().mean(0) for a in sizes]
    return like(torch.stack(rates), reps)


@torch.no_grad()
def pc_truncation_curve(
    head: Head,
    reps: Float[Array, "n h"],
    ks: Sequence[int],
    *,
    labels: Array | None = None,
    decide: Decide = positive,
    batch_size: int = 4096,
) -> Float[Array, "ks outputs"]:
    """Return how often each output is right when the representation keeps only its k leading principal components.

    **Arguments:**
    - ``head``, ``decide``: as `flip_curve`.
    - ``reps``: (n, h); the components are those of its rows, and what is cut off becomes its mean.
    - ``ks``: numbers of components from 0 (the mean alone) to h.
    - ``labels``: (n, outputs) the right decisions; without them the result is agreement with the whole representation.

    Raises InputError where shapes do not match, a number is not finite or a k is out of range.

    Source: Lampinen, Chan, Hermann, TMLR 2024 (features in the top principal components).

    >>> import numpy as np
    >>> reps = np.array([[3.0, 1.0], [3.0, -1.0], [-3.0, 1.0], [-3.0, -1.0]])
    >>> pc_truncation_curve(lambda x: x, reps, [1, 2], labels=reps > 0).tolist()
    [[1.0, 0.5], [1.0, 1.0]]
    """
    x = _rows.representations(reps)
    wrong = [k for k in ks if not 0 <= k <= x.shape[1] or k != int(k)]
    if wrong or not len(ks):
        raise InputError(f"ks is {list(ks)}; expected whole numbers from 0 to {x.shape[1]}, at least one")
    rows = torch.arange(len(x), device=x.device)
    centre = _rows.mean(x, rows)
    axes = principal_axes(x, rows, centre, min(x.shape))
    right = _decisions(head, x, decide, batch_size)
    if labels is not None:
        given = tensor(labels, "labels", dims=None).to(x.device)
        same_rows(reps=x, labels=given)
        if given.shape != right.shape:
            raise InputError(f"labels has shape {tuple(given.shape)}; the head decides {tuple(right.shape)}")
        right = given
    curve = []
    for k in ks:
        basis = axes[:, : int(k)]
        kept = torch.cat(
            [(centre + (part - centre) @ basis @ basis.T).to(x.dtype) for _, part in _rows.chunks(x, rows)]
        )
        curve.append((_decisions(head, kept, decide, batch_size) == right).double().mean(0))
    return like(torch.stack(curve), reps)


def _decisions(head: Head, x: Tensor, decide: Decide, batch_size: int) -> Tensor:
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
    if not isinstance(head, nn.Module):
        return torch.cat([decide(head(part)) for part in x.split(batch_size)])
    parameter = next(head.parameters(), None)
    with evaluating(head):
        parts = x.split(batch_size) if parameter is None else (p.to(parameter) for p in x.split(batch_size))
        return torch.cat([decide(head(part)) for part in parts]).to(x.device)


def _finite(values: Sequence[float], name: str) -> list[float]:
    return tensor(torch.as_tensor(values, dtype=torch.float64), name, dims=1).tolist()
