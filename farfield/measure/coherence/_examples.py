"""What the measures of gradients accept: examples of any form that a model takes, with their labels."""

import numpy as np
import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows


def examples(model: nn.Module, x: Array, y: Array) -> tuple[Tensor, Tensor]:
    """Return inputs and labels as tensors; real inputs in the dtype of the model's parameters, whole numbers as they are.

    Raises InputError where they differ in length, are empty, or hold a value that is not finite.

    >>> [v.dtype for v in examples(nn.Linear(1, 1), np.zeros((2, 1)), np.zeros(2, dtype=int))]
    [torch.float32, torch.int64]
    """
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    found = {}
    for name, values in (("x", x), ("y", y)):
        if not isinstance(values, Tensor):
            array = np.asarray(values)
            if array.dtype.kind not in "biuf":
                raise InputError(f"{name} holds {array.dtype} values; expected numbers")
            values = torch.from_numpy(np.ascontiguousarray(array))
        if not values.ndim or not len(values):
            raise InputError(f"{name} has shape {tuple(values.shape)}; expected (n, ...) with n at least 1")
        if values.is_floating_point():
            values = values.to(dtype)
            if not torch.isfinite(values).all():
                row = int(torch.isfinite(values).reshape(len(values), -1).all(1).int().argmin())
                raise InputError(f"{name} holds a value that is not finite, first in row {row}")
        found[name] = values.detach()
    same_rows(**found)
    return found["x"], found["y"]
