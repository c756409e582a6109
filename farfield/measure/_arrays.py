"""What every measure accepts: arrays of numpy or torch, checked once, and given back as the kind they came in."""

import warnings

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError

Array = np.ndarray | Tensor


def tensor(
    values: Array, name: str, *, dims: int | None = 2, rows: int = 1, dtype: torch.dtype | None = torch.float64
) -> Tensor:
    """Return an array as a tensor on its own device, without a copy where its type allows.

    **Arguments:**
    - ``name``: of the argument, for the sentence.
    - ``dims``: how many dimensions it must have; None takes any number above 0.
    - ``rows``: how many rows it must have at least.
    - ``dtype``: of the result; None keeps float32 and float64 and takes float64 for anything else.

    Raises InputError on another shape, on numbers that are no real numbers, and on a value that is not finite.

    >>> tensor(np.eye(2, dtype="float32"), "x").dtype
    torch.float64
    >>> tensor(np.array([[1.0], [np.nan]]), "x")
    Traceback (most recent call last):
    farfield.errors.InputError: x holds a value that is not finite, first in row 1
    """
    found = values.detach() if isinstance(values, Tensor) else _from_numpy(values, name)
    if found.is_complex():
        raise InputError(f"{name} holds complex numbers; expected real ones")
    if dtype is None:
        dtype = found.dtype if found.dtype in (torch.float32, torch.float64) else torch.float64
    if found.ndim != (dims or found.ndim) or not found.ndim or len(found) < rows or 0 in found.shape[1:]:
        shape = {1: "(n,)", 2: "(n, d)", 3: "(n, d, e)"}.get(dims or 0, "(n, ...)")
        raise InputError(f"{name} has shape {tuple(found.shape)}; expected {shape} with n at least {rows}")
    found = found.to(dtype)
    # A sum is not finite where a value is not, and ten times as fast; where finite values overflow it each is looked at.
    if not torch.isfinite(found.sum()):
        finite = torch.isfinite(found)
        if not finite.all():
            row = int(finite.reshape(len(found), -1).all(1).int().argmin())
            raise InputError(f"{name} holds a value that is not finite, first in row {row}")
    return found


def like(result: Tensor, values: Array) -> Array:
    """Return a result as numpy where the values came as numpy.

    >>> type(like(torch.ones(1), np.ones(1))).__name__
    'ndarray'
    """
    return result if isinstance(values, Tensor) else result.numpy()


def same_rows(**arrays: Tensor) -> None:
    """Refuse arrays whose numbers of rows differ. Raises InputError that names the first two.

    >>> same_rows(x=torch.ones(2, 1), y=torch.ones(3))
    Traceback (most recent call last):
    farfield.errors.InputError: x has 2 rows but y has 3; they must be the same examples
    """
    (first, x), *others = arrays.items()
    for name, y in others:
        if len(y) != len(x):
            raise InputError(f"{first} has {len(x)} rows but {name} has {len(y)}; they must be the same examples")


def _from_numpy(values: Array, name: str) -> Tensor:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {array.dtype} values; expected numbers")
    if (array.dtype.kind == "f" and array.dtype.itemsize > 8) or not array.dtype.isnative:
        array = array.astype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    if any(step < 0 for step in array.strides):
        array = np.ascontiguousarray(array)
    with warnings.catch_warnings():
        # A memory-mapped file is read only, which is right: nothing here writes.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
