"""What the measures of variance share: features as columns, which rows fit and which score, and the regression itself."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor

CHUNK = 16_384

Fit = float | Array


def representations(reps: Array, name: str = "reps") -> Tensor:
    """Return (n, h) as it is, in float32 or float64; at least two rows that are not all the same."""
    x = tensor(reps, name, rows=2, dtype=None)
    if (x == x[0]).all():
        raise InputError(f"all rows of {name} are the same, so there is no variance to explain")
    return x


def columns(features: Mapping[str, Array], reps: Tensor) -> dict[str, Tensor]:
    """Return each feature as float64 columns (n, k) on the device of the representations.

    Whole numbers, truth values and texts (n,) are classes, one column for each; other numbers (n,) are one column, and (n, k)
    is taken as it is.
    """
    if not features:
        raise InputError("features is empty; expected at least one name with its values")
    found = {}
    for name, values in features.items():
        label = f"features[{name!r}]"
        column = _column(values, label)
        same_rows(reps=reps, **{label: column})
        if (column == column[0]).all():
            raise InputError(f"{label} is the same in all rows; a feature needs two values")
        found[name] = column.to(reps.device)
    return found


def _column(values: Array, label: str) -> Tensor:
    if not isinstance(values, Tensor):
        values = np.asarray(values)
        if values.dtype.kind in "OUS":
            values = np.unique(values.astype(str), return_inverse=True)[1]
    if values.ndim != 1 or _is_real(values):
        found = tensor(values, label, dims=None)
        if found.ndim > 2:
            raise InputError(f"{label} has shape {tuple(found.shape)}; expected (n,) or (n, k)")
        return found.reshape(len(found), -1)
    codes = tensor(values, label, dims=1).unique(return_inverse=True)[1]
    # With an intercept one of two columns says it all; the same for a great many classes would not fit in memory.
    count = int(codes.max()) + 1
    if count == 2:
        return codes.double()[:, None]
    if count > 1000:
        raise InputError(f"{label} has {count} classes; give real numbers as floats, or at most 1000 classes")
    return torch.nn.functional.one_hot(codes, count).double()


def _is_real(values: Array) -> bool:
    return values.is_floating_point() if isinstance(values, Tensor) else values.dtype.kind == "f"


def binary(values: Array, name: str, reps: Tensor) -> Tensor:
    """Return a feature of two values as booleans (n,), True for the larger. Raises InputError on any other number."""
    found = tensor(values, name, dims=1)
    same_rows(reps=reps, **{name: found})
    kinds = found.unique()
    if len(kinds) != 2:
        raise InputError(f"{name} has {len(kinds)} different value{'s' * (len(kinds) != 1)}; it must have two")
    return (found == kinds[1]).to(reps.device)


def sides(n: int, fit: Fit, groups: Array | None, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the indices of the rows that fit and of those that score."""
    if isinstance(fit, Tensor | np.ndarray):
        return _given(fit, n, groups, device)
    if not 0 < fit <= 1:
        raise InputError(f"fit is {fit}; it must be a share of the rows above 0, up to 1")
    if fit == 1:
        rows = torch.arange(n, device=device)
        return rows, rows
    if groups is None:
        member = np.arange(n)
    else:
        array = np.asarray(groups.cpu() if isinstance(groups, Tensor) else groups)
        if array.shape != (n,):
            raise InputError(f"groups has shape {array.shape}; expected ({n},), a group for each row")
        member = np.unique(array, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(int(member.max()) + 1)
    if len(order) < 2:
        raise InputError("groups holds one group only; fitting and scoring need at least one each")
    chosen = np.isin(member, order[: min(max(1, round(fit * len(order))), len(order) - 1)])
    return _both(torch.from_numpy(chosen), device)


def _given(fit: Array, n: int, groups: Array | None, device: torch.device) -> tuple[Tensor, Tensor]:
    mask = torch.as_tensor(fit)
    if mask.dtype != torch.bool or mask.shape != (n,):
        raise InputError(
            f"fit is {mask.dtype} of shape {tuple(mask.shape)}; as an array it must be bool of shape ({n},)"
        )
    if groups is not None:
        raise InputError("groups came with a fit that already says which rows fit; give one of them")
    if mask.all() or not mask.any():
        raise InputError("fit is the same for all rows; some must fit and some must score")
    return _both(mask, device)


def _both(mask: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    return tuple(torch.nonzero(side).flatten().to(device) for side in (mask, ~mask))  # type: ignore[return-value]


def chunks(reps: Tensor, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield indices and their rows in float64, so many at a time that a copy of all is never needed."""
    for part in rows.split(CHUNK):
        yield part, reps[part].double()


def mean(reps: Tensor, rows: Tensor) -> Tensor:
    """Return the mean of these rows (h,)."""
    # Sums of differences from a row: values far from zero lose no digits.
    origin = reps[rows[0]].double()
    return origin + sum((x - origin).sum(0) for _, x in chunks(reps, rows)) / len(rows)


def total(reps: Tensor, centre: Tensor, score: Tensor) -> Tensor:
    """Return the mean square of each unit around the centre over these rows (h,)."""
    return sum((x - centre).square().sum(0) for _, x in chunks(reps, score)) / len(score)


def residual(reps: Tensor, column: Tensor, centre: Tensor, fit: Tensor, score: Tensor, label: str) -> Tensor:
    """Return the mean square of each unit that the feature leaves (h,): fitted with intercept on some rows, scored on others."""
    middle = column[fit].mean(0)
    if (column[fit] == column[fit[0]]).all():
        raise InputError(f"{label} is the same in all rows that fit; fit on more rows, or stratify them")
    inner = torch.zeros(column.shape[1], column.shape[1], dtype=torch.float64, device=reps.device)
    outer = torch.zeros(column.shape[1], reps.shape[1], dtype=torch.float64, device=reps.device)
    for part, x in chunks(reps, fit):
        f = column[part] - middle
        inner += f.T @ f
        outer += f.T @ (x - centre)
    # Columns of classes sum to one, so the matrix may lack a rank: the pseudo-inverse takes the smallest solution.
    weights = torch.linalg.pinv(inner, rtol=1e-10, hermitian=True) @ outer
    return sum(
        (x - centre - (column[part] - middle) @ weights).square().sum(0) for part, x in chunks(reps, score)
    ) / len(score)
