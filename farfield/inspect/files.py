"""Files of arrays and tables, opened without reading more than is needed, and refused where they cannot be."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure._rows import mapped, read_only
from farfield.measure.activations import INDEX, open_activations
from farfield.names import Name, parse
from farfield.tasks.tabular import read_frame
from farfield.tasks.userdata import find_file, listed

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".parquet", ".pq")
ARRAYS = (".npy", ".npz", ".safetensors")


def exists(path: str) -> bool:
    """Return whether a path names something, with or without its options."""
    return Path(path).expanduser().exists() or Path(path.partition("?")[0]).expanduser().exists()


def opened(path: str) -> tuple[Name, Path]:
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


def arrays_of(file: Path) -> dict[str, Any]:
    """Return the arrays of a file by name, memory-mapped but for .npz; labels may be strings, so not tensors yet."""
    from safetensors import SafetensorError

    if file.is_dir():
        return dict(open_activations(file))
    try:
        if file.suffix.lower() == ".npy":
            return {file.stem: np.load(file, mmap_mode="r", allow_pickle=False)}
        if file.suffix.lower() == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                _check_memory(sum(info.file_size for info in archive.zip.infolist()), file)
                return {name: archive[name] for name in archive.files}
        return dict(mapped(file))
    except InputError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "pickle" in reason.lower() or "object" in reason.lower():
            reason = "it holds Python objects, which are never unpickled; save it as an array of numbers"
        raise InputError(f"{file} cannot be read: {reason}") from error


def frame_of(file: Path) -> pd.DataFrame:
    """Return a table whose first row holds names. Raises InputError as `farfield.tasks.tabular.read_frame`, and without names."""
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


def chosen(arrays: Mapping[str, Any], wanted: str, file: Path) -> Any:
    """Return one array by name. Raises InputError with the nearest names."""
    if wanted not in arrays:
        raise unknown_name(f"array of {file}", wanted, arrays)
    return arrays[wanted]


def matrix(values: Any, name: str) -> tuple[Tensor, list[str]]:
    """Return an array as rows (n, d) on the same memory, and a note where axes were flattened.

    Raises InputError on fewer than 2 rows, no column, or what is no real number.
    """
    rows = values if isinstance(values, Tensor) else as_tensor(values, name)
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


def as_tensor(values: np.ndarray, name: str) -> Tensor:
    """Return an array of numbers as a tensor, on the same memory where torch can use it."""
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        raise InputError(f"{name} holds {values.dtype} values; expected numbers")
    if not values.dtype.isnative:
        # What another kind of machine wrote; this copies it into memory.
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "u" and values.dtype.itemsize > 1:
        values = values.astype(np.int64 if values.dtype.itemsize < 8 else np.float64)
    return read_only(np.ascontiguousarray(values) if any(s < 0 for s in values.strides) else values)
