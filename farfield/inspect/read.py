"""Embeddings from files: .npy, .npz, .safetensors, .parquet, .csv, memory-mapped where the format allows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from farfield.errors import InputError
from farfield.inspect.files import TABLES, arrays_of, as_tensor, chosen, frame_of, matrix, opened
from farfield.measure._rows import read_only
from farfield.tasks.userdata import listed, no_column, split_list

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Representation:
    """A representation of n examples: ``rows`` (n, d), maybe memory-mapped.

    **Fields:** ``source``: the file or model that it is from; ``part``: of a source with several arrays or layers, which;
    ``notes``: sentences on what was done to make rows of it.
    """

    name: str
    rows: Tensor
    source: str
    part: str = ""
    notes: tuple[str, ...] = ()


def read_representations(path: str, *, without: Collection[str] = ()) -> list[Representation]:
    """Read every representation of a file, or of a folder that `farfield.measure.activations` wrote.

    An array (n, d) is one; further axes are flattened, and (n,) is one column. Of a table each row is an example: its one
    column of lists, or else all columns of numbers. ``FILE?array=NAME`` takes one array of several, ``FILE?columns=a,b`` only
    these columns of a table, in this order.

    **Arguments:** ``without``: columns or arrays to leave out, such as the labels.

    Raises InputError where the file is absent, empty, damaged, of another kind, holds no numbers, or does not fit in memory
    (only .npy, .safetensors and folders of activations are memory-mapped).

    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "a.npy"
    >>> np.save(file, np.eye(3))
    >>> [(r.name, tuple(r.rows.shape)) for r in read_representations(str(file))]
    [('a.npy', (3, 3))]
    """
    name, file = opened(path)
    if file.suffix.lower() in TABLES:
        name.check_options(["columns"])
        frame = frame_of(file).drop(columns=list(without), errors="ignore")
        rows, notes = _of_table(frame, name.options.get("columns"), source=path)
        return [Representation(file.name, rows, path, notes=tuple(notes))]
    name.check_options(["array"])
    arrays = {part: values for part, values in arrays_of(file).items() if part not in without}
    notes = []
    if "array" in name.options:
        arrays = {name.options["array"]: chosen(arrays, name.options["array"], file)}
    elif any(values.ndim > 1 for values in arrays.values()):
        # Labels and numbers of rows often lie beside embeddings in one file.
        apart = [part for part, values in arrays.items() if values.ndim < 2]
        arrays = {part: values for part, values in arrays.items() if part not in apart}
        notes = [f"{file.name}: the array {part!r} has no columns and was left out." for part in apart]
    if not arrays:
        raise InputError(f"{path} holds no array of embeddings")
    several = len(arrays) > 1
    found = []
    for part, values in arrays.items():
        label = f"{file.name}/{part or 'output'}" if several else file.name
        rows, more = matrix(values, label)
        found.append(Representation(label, rows, path, part if several else "", (*notes, *more)))
        notes = []
    return found


def from_array(values: Any, name: str) -> Representation:
    """Return an array or tensor (n, ...) as a representation. Raises InputError where it holds no real numbers."""
    rows, notes = matrix(values if isinstance(values, Tensor) else as_tensor(np.asarray(values), name), name)
    return Representation(name, rows, name, notes=tuple(notes))


def _of_table(frame: pd.DataFrame, columns: str | None, *, source: str) -> tuple[Tensor, list[str]]:
    import pandas as pd

    notes = []
    if columns is not None:
        names = split_list(columns, frame.columns)
        for name in names:
            if name not in frame.columns:
                raise no_column(name, map(str, frame.columns), option="columns", source=source)
        frame = frame[names]
    lists = [c for c in frame.columns if len(frame) and isinstance(frame[c].iloc[0], np.ndarray | list | tuple)]
    if len(lists) > 1:
        raise InputError(f"{source} has {len(lists)} columns of lists; say which with ?columns=NAME: {listed(lists)}")
    if lists:
        return _of_lists(frame[lists[0]], source), notes
    kept = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c])]
    others = [str(c) for c in frame.columns if c not in kept]
    if columns is not None and others:
        raise InputError(f"the column {others[0]!r} of {source} does not hold numbers")
    if not kept or not len(frame):
        raise InputError(f"{source} has no column of numbers" if len(frame) else f"{source} has no row")
    if others:
        notes.append(f"{source}: columns without numbers were left out: {listed(others)}.")
    gaps = frame[kept].isna()
    if gaps.to_numpy().any():
        first = kept[int(gaps.any().to_numpy().argmax())]
        row = int(gaps[first].to_numpy().argmax())
        raise InputError(f"{source} has a missing number in column {str(first)!r}, first in row {row + 1}")
    return read_only(np.ascontiguousarray(frame[kept].to_numpy(dtype=np.float64))), notes


def _of_lists(values: pd.Series, source: str) -> Tensor:
    lengths = values.map(lambda v: len(v) if isinstance(v, Sequence | np.ndarray) else -1)
    if lengths.nunique() != 1 or lengths.iloc[0] < 1:
        odd = int((lengths != lengths.iloc[0]).to_numpy().argmax())
        raise InputError(
            f"the lists in column {values.name!r} of {source} have different lengths: {lengths.iloc[0]} in row 1, "
            f"{max(0, int(lengths.iloc[odd]))} in row {odd + 1}"
        )
    return read_only(np.stack(values.tolist()).astype(np.float64))


def about(representation: Representation) -> dict[str, Any]:
    """Return what a report says of a representation's form: its names, shape and type.

    >>> about(from_array(np.eye(2), "mine"))["columns"]
    2
    """
    r = representation
    kind = str(r.rows.dtype).removeprefix("torch.")
    return {
        "name": r.name,
        "source": r.source,
        "part": r.part,
        "rows": len(r.rows),
        "columns": r.rows.shape[1],
        "type": kind,
    }
