"""New rows without labels, read in the way that a task's rows were."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.errors import InputError
from farfield.names import Name, parse
from farfield.tasks import encoding as columns_encoding
from farfield.tasks.decode import SUFFIXES, Picture, pixels
from farfield.tasks.folder import image_files
from farfield.tasks.tabular import read_frame
from farfield.tasks.task import Table
from farfield.tasks.userdata import as_text, find_file, listed, no_column

if TYPE_CHECKING:
    import pandas as pd


def read(encoding: Mapping[str, Any], source: str) -> "tuple[Table, pd.DataFrame]":
    """Read new rows with the encoding that `Task.encoding` keeps.

    **Arguments:**
    - ``encoding``: as a task of the user's own data has it.
    - ``source``: a CSV or Parquet file, a data set that ``save_to_disk`` wrote, an image file, or a folder with images in
      it and below it; a name such as ``csv:new.csv`` works too.

    **Returns:** a Table of inputs ``x``, and a frame that tells the rows apart: all columns of the file, or the column
    ``file``. Its ``attrs["notes"]`` lists sentences on values that no training row had.

    Raises InputError where the file is absent or of another kind, a column is missing, or values are missing or not finite.

    >>> read({"kind": "text", "column": "review", "classes": ["bad", "good"]}, "nowhere.csv")
    Traceback (most recent call last):
    farfield.errors.InputError: file not found: nowhere.csv
    """
    kind = encoding.get("kind")
    if kind not in ("vector", "text", "image"):
        raise InputError(
            f"the encoding is of kind {kind!r}, which reads no files; new rows can be read for tasks made of the user's "
            "own data (csv, parquet, images, hf)"
        )
    name = parse(source)
    name = Name("builtin", source) if name.kind not in ("csv", "parquet", "images", "hf") else name
    path = find_file(name.path)
    if kind == "image":
        return _read_images(encoding, name, path)
    needed = [c["name"] for c in encoding["columns"]] if kind == "vector" else [encoding["column"]]
    frame = _read_table(encoding, name, path)
    absent = [c for c in needed if c not in frame.columns]
    if absent:
        raise InputError(
            f"{name.path} lacks {len(absent)} of the {len(needed)} columns that the model reads: "
            f"{', '.join(absent[:10])}; its columns are {listed(list(frame.columns))}"
        )
    if kind == "text":
        text = as_text(frame[encoding["column"]])
        empty = [i for i, v in enumerate(text) if v is None or not v.strip()]
        if empty:
            raise InputError(f"{name.path} has {len(empty)} rows without text, the first is row {empty[0] + 1}")
        return Table(x=text), frame
    _check_values(encoding["columns"], frame, source=name.path)
    x, notes = columns_encoding.apply(encoding["columns"], frame, source=name.path)
    frame.attrs["notes"] = list(notes)
    return Table(x=x), frame


def _read_table(encoding: Mapping[str, Any], name: Name, path: Path) -> "pd.DataFrame":
    from farfield.tasks import huggingface

    if path.is_dir():
        if not huggingface.is_saved(path):
            raise InputError(
                f"{name.path} is a folder, but the model reads a table (CSV, Parquet, or a saved data set)"
            )
        return huggingface.to_frame(huggingface.read_dataset(name))
    if path.suffix.lower() in SUFFIXES:
        raise InputError(f"{name.path} is an image, but the model reads a table")
    # Strings stay as they are written, so that the category "01" is found again.
    strings = [c["name"] for c in encoding.get("columns", ()) if c["type"] == "category"]
    strings += [encoding[k] for k in ("column", "target", "domain") if k in encoding]
    return read_frame(path, strings=strings)


def _check_values(columns: list[Mapping[str, Any]], frame: "pd.DataFrame", *, source: str) -> None:
    """Refuse missing and infinite values, and strings where numbers are expected."""
    for c in columns:
        values = frame[c["name"]]
        found = columns_encoding.kind_of(values, source=source)
        if c["type"] == "number" and found == "category" and not values.isna().all():
            text = as_text(values)
            bad = next((i for i, v in enumerate(text) if v is not None and not _is_number(v)), None)
            if bad is not None:
                raise InputError(
                    f"the column {c['name']!r} of {source} must hold numbers, but row {bad + 1} holds {text[bad]!r}"
                )
        gaps = int(values.isna().sum())
        if c["type"] == "number" and found == "number":
            gaps = int((~np.isfinite(values.to_numpy(dtype=np.float64, na_value=np.nan))).sum())
        if gaps:
            raise InputError(f"the column {c['name']!r} of {source} has {gaps} missing or infinite values")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_images(encoding: Mapping[str, Any], name: Name, path: Path) -> "tuple[Table, pd.DataFrame]":
    import pandas as pd

    from farfield.tasks import huggingface

    pictures: list[Picture]
    if path.is_dir() and huggingface.is_saved(path):
        dataset = huggingface.read_dataset(name)
        column = encoding.get("column", "image")
        if column not in dataset.column_names:
            raise no_column(column, dataset.column_names, option="image", source=name.path)
        pictures = huggingface.pictures(dataset, column, source=name.path)
        frame = huggingface.to_frame(dataset, without=column)
        frame.insert(0, "row", range(1, len(frame) + 1), allow_duplicates=True)
    else:
        if path.is_file() and path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{name.path} is no image, but the model reads images ({', '.join(SUFFIXES)})")
        files = image_files(path) if path.is_dir() else [path]
        if not files:
            raise InputError(f"there is no image in {name.path}; {', '.join(SUFFIXES)} are read")
        pictures = [(str(p), p) for p in files]
        frame = pd.DataFrame({"file": [str(p) for p in files]})
    return Table(x=pixels(pictures, size=encoding["size"], channels=encoding["channels"])), frame
