"""Means of gradients that a few examples cannot sway: the coordinate-wise median and the winsorized mean."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError

# Elements of a piece to sort on a CPU, about a megabyte.
PIECE = 2**18


def coordinate_median(gradients: Sequence[Tensor] | Float[Tensor, "k ..."]) -> Tensor:
    """Return the median of k gradients, coordinate by coordinate; of an even number, the mean of the middle two.

    A NaN in a coordinate is a NaN in the result.

    **Arguments:** ``gradients``: k tensors of one shape, or one (k, ...); at least one.

    Raises InputError where there is none, or their shapes differ.

    >>> coordinate_median([torch.tensor([1.0, 0.0]), torch.tensor([5.0, 0.0]), torch.tensor([3.0, 9.0])])
    tensor([3., 0.])
    """
    gradients = list(gradients)
    shapes = {tuple(g.shape) for g in gradients}
    if len(shapes) != 1:
        raise InputError(f"gradients have the shapes {sorted(shapes)}; expected at least one tensor, all of one shape")
    if len(gradients) == 3:
        a, b, c = gradients
        # A third of the time of a sort.
        return torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))
    stacked = torch.stack(gradients)
    # torch.median of an even number is the lower of the middle two.
    high = stacked.median(0).values if len(gradients) % 2 else -(-stacked).median(0).values
    return high if len(gradients) % 2 else (stacked.median(0).values + high) / 2


def winsorized_mean(gradients: Float[Tensor, "b ..."], c: int) -> Tensor:
    """Return the mean over examples after, in each coordinate, the c smallest and the c largest values are replaced by the next.

    A direction that at most c examples ask for adds nothing: values are clipped to those ranked c + 1 from either end. 0 is the
    mean, ``(b - 1) / 2`` the median (Chatterjee, ICLR 2020).

    **Arguments:** ``gradients`` (b, ...): of single examples; ``c``: how many examples to clip on each side, ``2 c < b``.

    Raises InputError on another c, and on a value that is not finite, which would otherwise be clipped away unseen.

    >>> winsorized_mean(torch.tensor([0.0, 1.0, 2.0, 3.0, 100.0]), c=1)
    tensor(2.)
    """
    if not gradients.ndim:
        raise InputError("gradients is a single number; expected (b, ...), a row for each example")
    b = len(gradients)
    if not (isinstance(c, int) and 0 <= 2 * c < b):
        raise InputError(f"c is {c} of {b} examples; it must be a whole number from 0 to below half of them")
    mean = gradients.mean(0)
    if not torch.isfinite(mean).all():
        raise InputError("gradients holds a value that is not finite, or their sum overflows")
    if not c:
        return mean
    columns = gradients.reshape(b, -1)
    # A GPU sorts all at once; on a CPU, what fits into its cache.
    pieces = columns.split(max(1, PIECE // b), dim=1) if columns.device.type == "cpu" else (columns,)
    found = []
    for piece in pieces:
        ranked = _sorted(piece)  # (p, b)
        inner = ranked[:, c : b - c].sum(1) + c * (ranked[:, c] + ranked[:, b - c - 1])
        found.append(inner / b)
    return torch.cat(found).reshape(gradients.shape[1:])


def _sorted(columns: Tensor) -> Tensor:
    """Return the columns as sorted rows."""
    rows = columns.T.clone(memory_format=torch.contiguous_format)
    if rows.device.type == "cpu" and rows.dtype in (torch.float32, torch.float64):
        # numpy sorts short rows with vector instructions, ten times as fast as torch on a CPU.
        rows.numpy().sort(axis=1)
        return rows
    return rows.sort(1).values
