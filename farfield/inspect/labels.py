"""The class of each row, and the classifier that reads it, from files or arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.inspect.files import TABLES, arrays_of, chosen, exists, frame_of, matrix, opened
from farfield.tasks.userdata import check_labels, listed, no_column, numbered


@dataclass(frozen=True, eq=False)
class Labels:
    """The class of each example: ``y`` (n,) int64, indices into ``classes``; ``source``: where they are from."""

    y: np.ndarray
    classes: tuple[str, ...]
    source: str


@dataclass(frozen=True, eq=False)
class Head:
    """The linear classifier that reads a representation: ``weight`` (classes, d), ``bias`` (classes,) or None; ``source``."""

    weight: Tensor
    bias: Tensor | None
    source: str


def read_labels(text: str, beside: str | None = None) -> Labels:
    """Read one label per example.

    **Arguments:**
    - ``text``: a file with one array or column, else ``FILE?array=NAME`` or ``FILE?column=NAME``; or the name of an array or
      column in the file ``beside``.

    Raises InputError where there is no such file or column, a label is missing, all are the same, or they look like a
    quantity or an identifier.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "y.csv"
    >>> _ = file.write_text("animal\\ncat\\ndog\\ncat\\n")
    >>> labels = read_labels(str(file))
    >>> labels.y.tolist(), labels.classes
    ([0, 1, 0], ('cat', 'dog'))
    """
    if not exists(text) and beside is not None and exists(beside):
        values, column = _column_of(opened(beside)[1], text, given=f"--labels {text}"), text
        source = f"{beside} ({text})"
    else:
        name, file = opened(text)
        name.check_options(["array", "column"])
        column = name.options.get("column", name.options.get("array"))
        values, column = _only_column(file) if column is None else (_column_of(file, column, given=text), column)
        source = text
    return label_array(values.numpy() if isinstance(values, Tensor) else np.asarray(values), column, source)


def label_array(values: np.ndarray, column: str, source: str) -> Labels:
    """Return labels (n,) of numbers or texts, numbered. Errors as `read_labels`."""
    import pandas as pd

    if values.ndim > 1 and values.size == len(values):
        values = values.reshape(-1)
    if values.ndim != 1 or not len(values):
        raise InputError(f"the labels in {source} have shape {values.shape}; expected one for each row, (n,)")
    y, classes = numbered(pd.Series(values, name=column), role="label", source=source)
    check_labels(y, classes, column=column, source=source)
    if len(classes) < 2:
        raise InputError(f"the labels in {source} are all the same ({classes[0]!r}); there is nothing to tell apart")
    return Labels(y, classes, source)


def read_head(path: str) -> Head:
    """Read the weights (classes, d) of a linear classifier: an array ``weight`` and maybe ``bias``, or a single array.

    Raises InputError where there is no such array.
    """
    name, file = opened(path)
    name.check_options([])
    if file.suffix.lower() not in (".npy", ".npz", ".safetensors"):
        raise InputError(f"{path} holds no weights; expected .npy, .npz or .safetensors")
    arrays = arrays_of(file)
    weight = next(iter(arrays.values())) if len(arrays) == 1 else chosen(arrays, "weight", file)
    bias = arrays.get("bias") if len(arrays) > 1 else None
    return Head(matrix(weight, path)[0], None if bias is None else torch.as_tensor(np.asarray(bias)).flatten(), path)


def _column_of(file: Path, column: str, *, given: str) -> Any:
    if file.suffix.lower() in TABLES:
        frame = frame_of(file)
        if column not in frame.columns:
            raise no_column(column, map(str, frame.columns), option="labels", source=str(file))
        return frame[column].to_numpy()
    arrays = arrays_of(file)
    if column not in arrays:
        raise InputError(
            f"{given}: there is no such file, and {file} has no array {column!r} (it has {listed(list(arrays))})"
        )
    return arrays[column]


def _only_column(file: Path) -> tuple[Any, str]:
    columns: Mapping[str, Any] = frame_of(file) if file.suffix.lower() in TABLES else arrays_of(file)
    names = list(columns)
    if len(names) != 1:
        option = "column" if file.suffix.lower() in TABLES else "array"
        raise InputError(f"{file} has {len(names)} {option}s; say which holds the labels: {file}?{option}={names[0]}")
    return columns[names[0]], str(names[0])
