"""Embeddings and labels from files: .npy, .npz, .safetensors, .parquet, .csv, memory-mapped where the format allows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure.activations import INDEX, open_activations
from farfield.names import Name, parse
from farfield.tasks.tabular import read_frame
from farfield.tasks.userdata import check_labels, find_file, listed, no_column, numbered, split_list

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".parquet", ".pq")
ARRAYS = (".npy", ".npz", ".safetensors")


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


def read_representations(path: str, *, without: Collection[str] = ()) -> list[Representation]:
    """Read every representation of a file, or of a folder that `farfield.measure.activations` wrote.

    An array (n, d) is one; further axes are flattened, and (n,) is one column. Of a table each row is an example: its one
    column of lists, or else all columns of numbers. ``FILE?array=NAME`` takes one array of several, ``FILE?columns=a,b`` only
    these columns of a table, in this order.

    **Arguments:** ``without``: columns or arrays to leave out, such as the labels.

    Raises InputError where the file is absent, empty, damaged, of another kind, holds no numbers, or does not fit in memory
    (only .npy, .safetensors and folders of activations are memory-mapped).

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.npy"
    >>> np.save(file, np.eye(3))
    >>> [(r.name, tuple(r.rows.shape)) for r in read_representations(str(file))]
    [('a.npy', (3, 3))]
    """
    name, file = _opened(path)
    if file.suffix.lower() in TABLES:
        name.check_options(["columns"])
        frame = _frame(file).drop(columns=list(without), errors="ignore")
        rows, notes = _of_table(frame, name.options.get("columns"), source=path)
        return [Representation(file.name, rows, path, notes=tuple(notes))]
    name.check_options(["array"])
    arrays = {part: values for part, values in _arrays(file).items() if part not in without}
    notes = []
    if "array" in name.options:
        arrays = {name.options["array"]: _chosen(arrays, name.options["array"], file)}
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
        rows, more = _matrix(values, label)
        found.append(Representation(label, rows, path, part if several else "", (*notes, *more)))
        notes = []
    return found


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
    if not _exists(text) and beside is not None and _exists(beside):
        values, column = _column_of(_opened(beside)[1], text, given=f"--labels {text}"), text
        source = f"{beside} ({text})"
    else:
        name, file = _opened(text)
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
    name, file = _opened(path)
    name.check_options([])
    if file.suffix.lower() not in (".npy", ".npz", ".safetensors"):
        raise InputError(f"{path} holds no weights; expected .npy, .npz or .safetensors")
    arrays = _arrays(file)
    weight = next(iter(arrays.values())) if len(arrays) == 1 else _chosen(arrays, "weight", file)
    bias = arrays.get("bias") if len(arrays) > 1 else None
    return Head(_matrix(weight, path)[0], None if bias is None else torch.as_tensor(np.asarray(bias)).flatten(), path)


def from_array(values: Any, name: str) -> Representation:
    """Return an array or tensor (n, ...) as a representation. Raises InputError where it holds no real numbers."""
    rows, notes = _matrix(values if isinstance(values, Tensor) else _as_tensor(np.asarray(values), name), name)
    return Representation(name, rows, name, notes=tuple(notes))


def _exists(path: str) -> bool:
    return Path(path).expanduser().exists() or Path(path.partition("?")[0]).expanduser().exists()


def _opened(path: str) -> tuple[Name, Path]:
    """Return a path with its options, and the file or folder; a file whose own name has a question mark is itself."""
    if Path(path).expanduser().exists():
        name = Name("builtin", path)
    else:
        parsed = parse(path)
        name = Name("builtin", path.partition("?")[0], parsed.options)
    file = find_file(name.path)
    if file.is_dir():
        if not (file / INDEX).is_file():
            raise InputError(f"{path} is a folder without {INDEX}; expected a file of embeddings")
        return name, file
    if file.suffix.lower() not in (*TABLES, *ARRAYS):
        raise InputError(f"{path} ends in {file.suffix or 'nothing'}; expected {listed([*ARRAYS, '.parquet', '.csv'])}")
    if file.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    return name, file


def _arrays(file: Path) -> dict[str, Any]:
    """Return the arrays of a file by name, memory-mapped but for .npz; labels may be strings, so not tensors yet."""
    from safetensors import SafetensorError, safe_open

    if file.is_dir():
        return dict(open_activations(file))
    try:
        if file.suffix.lower() == ".npy":
            # Copy on write: nothing writes, and torch takes no array that it could not.
            return {file.stem: np.load(file, mmap_mode="c", allow_pickle=False)}
        if file.suffix.lower() == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                _check_memory(sum(info.file_size for info in archive.zip.infolist()), file)
                return {name: archive[name] for name in archive.files}
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (ValueError, OSError, EOFError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "pickle" in reason.lower() or "object" in reason.lower():
            reason = "it holds Python objects, which are never unpickled; save it as an array of numbers"
        raise InputError(f"{file} cannot be read: {reason}") from error


def _frame(file: Path) -> pd.DataFrame:
    _check_memory(file.stat().st_size, file)
    frame = read_frame(file)
    names = [str(c) for c in frame.columns]
    if file.suffix.lower() in (".csv", ".tsv") and len(names) > 1 and _numbers(names):
        raise InputError(f"the first row of {file} is numbers; write the names of the columns there")
    return frame


def _numbers(names: Sequence[str]) -> bool:
    """Return whether a header is a row of data: numbers, and not just those of the columns."""
    try:
        values = [float(name) for name in names]
    except ValueError:
        return False
    return values not in (list(range(len(names))), list(range(1, len(names) + 1)))


def _check_memory(size: int, file: Path) -> None:
    import psutil

    free = psutil.virtual_memory().available
    if size > 0.7 * free:
        raise InputError(
            f"{file} holds {size / 1e9:.1f} GB and {free / 1e9:.1f} GB of memory are free; save it as .npy or .safetensors, "
            "which need not fit"
        )


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
    return torch.from_numpy(frame[kept].to_numpy(dtype=np.float64)), notes


def _of_lists(values: pd.Series, source: str) -> Tensor:
    lengths = values.map(lambda v: len(v) if isinstance(v, Sequence | np.ndarray) else -1)
    if lengths.nunique() != 1 or lengths.iloc[0] < 1:
        odd = int((lengths != lengths.iloc[0]).to_numpy().argmax())
        raise InputError(
            f"the lists in column {values.name!r} of {source} have different lengths: {lengths.iloc[0]} in row 1, "
            f"{max(0, int(lengths.iloc[odd]))} in row {odd + 1}"
        )
    return torch.from_numpy(np.stack(values.tolist()).astype(np.float64))


def _matrix(values: Any, name: str) -> tuple[Tensor, list[str]]:
    rows = values if isinstance(values, Tensor) else _as_tensor(values, name)
    if rows.is_complex():
        raise InputError(f"{name} holds complex numbers; expected real ones")
    if not rows.ndim or 0 in rows.shape:
        raise InputError(f"{name} has shape {tuple(rows.shape)}; expected rows of numbers (n, d)")
    notes = []
    if rows.ndim != 2:
        if rows.ndim > 2:
            notes.append(f"{name}: rows of shape {tuple(rows.shape[1:])} were flattened.")
        rows = rows.reshape(len(rows), -1)
    if len(rows) < 2:
        raise InputError(f"{name} has {len(rows)} row; at least 2 are needed")
    return rows, notes


def _as_tensor(values: np.ndarray, name: str) -> Tensor:
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        raise InputError(f"{name} holds {values.dtype} values; expected numbers")
    if not values.dtype.isnative:
        # What another kind of machine wrote; this copies it into memory.
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "u" and values.dtype.itemsize > 1:
        values = values.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(values) if any(s < 0 for s in values.strides) else values)


def _chosen(arrays: Mapping[str, Any], wanted: str, file: Path) -> Any:
    if wanted not in arrays:
        raise unknown_name(f"array of {file}", wanted, arrays)
    return arrays[wanted]


def _column_of(file: Path, column: str, *, given: str) -> Any:
    if file.suffix.lower() in TABLES:
        frame = _frame(file)
        if column not in frame.columns:
            raise no_column(column, map(str, frame.columns), option="labels", source=str(file))
        return frame[column].to_numpy()
    arrays = _arrays(file)
    if column not in arrays:
        raise InputError(
            f"{given}: there is no such file, and {file} has no array {column!r} (it has {listed(list(arrays))})"
        )
    return arrays[column]


def _only_column(file: Path) -> tuple[Any, str]:
    columns: Mapping[str, Any] = _frame(file) if file.suffix.lower() in TABLES else _arrays(file)
    names = list(columns)
    if len(names) != 1:
        option = "column" if file.suffix.lower() in TABLES else "array"
        raise InputError(f"{file} has {len(names)} {option}s; say which holds the labels: {file}?{option}={names[0]}")
    return columns[names[0]], str(names[0])


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
