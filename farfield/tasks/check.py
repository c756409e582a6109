"""Whether a task that someone else made is one: checked before any compute."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.tasks.task import Image, Split, Table, Task, Text, Tokens, Vector


def check(task: Task) -> None:
    """Refuse a task whose splits do not fit what it says of them.

    Raises InputError where there is no far test, a column is missing, inputs are not finite or of another shape, labels
    are not int64 class indices, or domains are not indices of ``task.domains``.

    >>> from farfield.tasks import Classes
    >>> rows = Table(x=torch.tensor([[float("nan")], [0.0]]), y=torch.tensor([0, 1]), domain=torch.tensor([0, 0]))
    >>> check(Task("mine", rows, rows, {"iid": rows, "far": rows}, Vector(1), Classes(2), ("a",)))
    Traceback (most recent call last):
    farfield.errors.InputError: the task mine: 1 values of x in the split 'train' are missing or infinite
    """
    if not task.far:
        raise InputError(f"the task {task.name} has no far test; give tests besides 'iid'")
    if not task.domains:
        raise InputError(f"the task {task.name} names no training domain; give at least one in domains")
    for label, split in {"train": task.train, "val": task.val, **task.tests}.items():
        where = f"the task {task.name}: "
        in_training_domains = label in ("train", "val", "iid")
        bad = 0
        for batch in _batches(split):
            for key in ("x", "y", "domain") if in_training_domains else ("x", "y"):
                if key not in batch:
                    raise InputError(f"{where}the split {label!r} has no column {key!r}; it has {', '.join(batch)}")
            bad += _check_inputs(batch["x"], task, f"{where}x in the split {label!r}")
            _check_indices(batch["y"], task.outputs.count, f"{where}y in the split {label!r}")
            if in_training_domains:
                _check_indices(batch["domain"], len(task.domains), f"{where}domain in the split {label!r}")
        if bad:
            raise InputError(f"{where}{bad} values of x in the split {label!r} are missing or infinite")


def _batches(split: Split) -> Iterator[dict[str, Any]]:
    if isinstance(split, Table):
        yield split.columns
        return
    for i in range(0, len(split), 512):
        yield split[torch.arange(i, min(i + 512, len(split)))]


def _check_inputs(x: Any, task: Task, what: str) -> int:
    """Return how many values are not finite."""
    if isinstance(task.inputs, Text):
        if isinstance(x, Tensor) or not all(isinstance(v, str) for v in x):
            raise InputError(f"{what} must be strings, for inputs are text")
        return 0
    if not isinstance(x, Tensor):
        raise InputError(f"{what} must be a tensor, for inputs are {task.inputs}; it is a {type(x).__name__}")
    match task.inputs:
        case Image(channels, height, width):
            shape, dtypes = (channels, height, width), (torch.float32, torch.uint8)
        case Vector(size):
            shape, dtypes = (size,), (torch.float32,)
        case Tokens(length=length):
            shape, dtypes = (length,), (torch.int64,)
        case _:
            raise InputError(f"{what}: inputs are {task.inputs!r}; Image, Vector, Text or Tokens is expected")
    if tuple(x.shape[1:]) != shape:
        raise InputError(f"{what} has the shape {tuple(x.shape)}; (n, {', '.join(map(str, shape))}) is expected")
    if x.dtype not in dtypes:
        raise InputError(f"{what} is {_short(x.dtype)}; {' or '.join(map(_short, dtypes))} is expected")
    if isinstance(task.inputs, Tokens) and len(x) and not 0 <= int(x.min()) <= int(x.max()) < task.inputs.vocabulary:
        raise InputError(f"{what} has tokens outside 0..{task.inputs.vocabulary - 1}")
    return int((~torch.isfinite(x)).sum()) if x.dtype.is_floating_point else 0


def _check_indices(values: Any, count: int, what: str) -> None:
    if not isinstance(values, Tensor) or values.dtype != torch.int64 or values.ndim != 1:
        found = f"{_short(values.dtype)} of shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values)
        raise InputError(f"{what} must be int64 of shape (n,); it is {found}")
    outside = (values < 0) | (values >= count)
    if outside.any():
        raise InputError(
            f"{what} must lie in 0..{count - 1}; {int(outside.sum())} values do not, the first is {int(values[outside][0])}"
        )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
