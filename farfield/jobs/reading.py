"""What the jobs on files read: one matrix of embeddings each, pairs of rows, and what all of them refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.inspect.files import ARRAYS, TABLES, arrays_of, frame_of, opened
from farfield.inspect.labels import Labels, label_array, read_labels
from farfield.inspect.read import Representation, about, from_array, read_representations
from farfield.inspect.scan import scan, widened
from farfield.measure._arrays import Array
from farfield.tasks.userdata import listed

Source = str | Path | Array


class Embeddings(NamedTuple):
    """Embeddings of n examples: ``rows`` (n, d), maybe memory-mapped; ``about``: what a report says of them."""

    name: str
    rows: Tensor
    about: dict[str, Any]
    notes: tuple[str, ...]


def read_embeddings(
    source: Source,
    argument: str,
    *,
    least: int = 2,
    whole: bool = True,
    without: tuple[str, ...] = (),
    watch: Callable[[str], None] = lambda sentence: None,
) -> Embeddings:
    """Read one matrix of embeddings, from any file that `farfield.inspect` reads or from an array.

    **Arguments:** ``argument``: its name where no file names it; ``least``: how many rows it must have; ``whole``: look
    at every
    row now, in pieces; ``without``: columns of a table that are no embeddings; ``watch``: called with a sentence
    before.

    Raises InputError as `farfield.inspect.read_representations`, where a file holds several arrays, on a value that is
    not finite,
    on a row of zeros (it has no direction, so no cosine), and where all rows are the same.

    >>> read_embeddings(np.eye(3), "old").about["columns"]
    3
    """
    one = _one(source, argument, without)
    if len(one.rows) < least:
        raise InputError(f"{one.name} has {len(one.rows)} rows; at least {least} are needed")
    facts = about(one)
    if whole:
        watch(f"reading {one.name}")
        found = scan(one.rows, one.name)
        if found.zero_rows:
            first = first_zero_row(one.rows)
            many = (
                "a row of zeros, which has"
                if found.zero_rows == 1
                else f"{found.zero_rows:,} rows of zeros, which have"
            )
            raise InputError(f"{one.name} holds {many} no direction for cosine, first row {first}; leave such rows out")
        facts["fingerprint"] = found.fingerprint
    return Embeddings(one.name, one.rows, facts, one.notes)


def first_zero_row(rows: Tensor) -> int:
    """Return the number of the first row whose values are all 0, -1 where there is none.

    >>> first_zero_row(torch.tensor([[1.0], [0.0]]))
    1
    """
    from farfield.inspect.scan import pieces

    for start, piece in pieces(rows):
        zero = (piece == 0).all(1)
        if zero.any():
            return start + int(zero.int().argmax())
    return -1


def same_examples(a: Embeddings, b: Embeddings) -> None:
    """Refuse embeddings of different numbers of rows. Raises InputError that names both."""
    if len(a.rows) != len(b.rows):
        raise InputError(
            f"{a.name} has {len(a.rows)} rows but {b.name} has {len(b.rows)}; they must be the same examples in the same order"
        )


def read_classes(labels: Any, embeddings: Embeddings, source: Source) -> Labels:
    """Read the class of each row: a file, a column of the embeddings' file, or n labels. Errors as
    `farfield.inspect.read_labels`."""
    if isinstance(labels, str | Path):
        found = read_labels(str(labels), str(source) if isinstance(source, str | Path) else None)
    else:
        found = label_array(labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels), "labels", "labels")
    if len(found.y) != len(embeddings.rows):
        raise InputError(
            f"{embeddings.name} has {len(embeddings.rows)} rows but the labels in {found.source} are {len(found.y)}; expected "
            "one for each row"
        )
    return found


def read_pairs(source: Source, first: Embeddings, second: Embeddings, *, argument: str = "pairs") -> Tensor:
    """Read pairs of row numbers, counted from 0: (p, 2) int64, the first of ``first``, the second of ``second``.

    **Arguments:** ``source``: a table whose first two columns they are, a file with one array (p, 2), or such an array.
    Where
    ``first`` and ``second`` are the same, a pair joins two rows that belong together.

    Raises InputError on another shape, on what are no whole numbers, on a number that no row has, and, within one file,
    on a row
    paired with itself.

    >>> e = read_embeddings(np.eye(3), "e")
    >>> read_pairs(np.array([[0, 2]]), e, e).tolist()
    [[0, 2]]
    """
    values, name = _pair_values(source, argument)
    if values.ndim != 2 or values.shape[1] != 2 or not len(values):
        raise InputError(f"{name} has shape {tuple(values.shape)}; expected pairs of row numbers (p, 2)")
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or (values != np.floor(values)).any():
        raise InputError(f"{name} holds what are no whole numbers; expected row numbers, counted from 0")
    numbers = torch.from_numpy(values.astype(np.int64))
    for column, side in enumerate((first, second)):
        outside = (numbers[:, column] < 0) | (numbers[:, column] >= len(side.rows))
        if outside.any():
            at = int(outside.int().argmax())
            raise InputError(
                f"{name} names row {int(numbers[at, column])} in pair {at + 1}, which is missing in {side.name}: its rows are 0 to "
                f"{len(side.rows) - 1}"
            )
    if first is second and (itself := numbers[:, 0] == numbers[:, 1]).any():
        raise InputError(f"{name} joins row {int(numbers[itself][0, 0])} with itself; a pair needs two rows")
    return numbers


def drawn(n: int, most: int, *, seed: int) -> Tensor:
    """Return up to ``most`` of n row numbers, rising, drawn by the seed.

    >>> drawn(3, 10, seed=0).tolist()
    [0, 1, 2]
    """
    if n <= most:
        return torch.arange(n)
    return torch.from_numpy(np.sort(np.random.default_rng([seed, 0]).choice(n, most, replace=False)))


def units(rows: Tensor, at: Tensor) -> Tensor:
    """Return these rows in memory, float32, each of length 1.

    >>> units(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([0])).tolist()
    [[0.6..., 0.8...]]
    """
    some = widened(rows[at]).double()
    # By the largest value first, so that no square over- or underflows.
    some = some / some.abs().amax(1, keepdim=True)
    return torch.nn.functional.normalize(some, dim=1).float()


def _one(source: Source, argument: str, without: tuple[str, ...]) -> Representation:
    if not isinstance(source, str | Path):
        return from_array(source, argument)
    found = read_representations(str(source), without=without)
    if len(found) > 1:
        names = listed([r.part for r in found])
        raise InputError(f"{source} holds {len(found)} arrays ({names}); say which: {source}?array={found[0].part}")
    return found[0]


def _pair_values(source: Source, argument: str) -> tuple[np.ndarray, str]:
    if not isinstance(source, str | Path):
        return np.asarray(source), argument
    name, file = opened(str(source))
    name.check_options([])
    if file.suffix.lower() in TABLES:
        frame = frame_of(file)
        if frame.shape[1] < 2:
            raise InputError(f"{source} has {frame.shape[1]} column; expected two of row numbers")
        return frame.iloc[:, :2].to_numpy(), str(source)
    arrays = arrays_of(file)
    if len(arrays) != 1 or file.suffix.lower() not in ARRAYS:
        raise InputError(f"{source} holds {len(arrays)} arrays; expected one (p, 2) of row numbers")
    return np.asarray(next(iter(arrays.values()))), str(source)
