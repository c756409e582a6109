"""Resampling rows and stimuli of dissimilarities, so that an accuracy can be given with its error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array, like, tensor
from farfield.measure.dissimilarity._forms import stimuli as count

Duplicates = Literal["drop", "mean", "nan"]


@dataclass(frozen=True)
class Bootstrap:
    """Dissimilarities of resampled rows and stimuli.

    **Fields:**
    - ``rdms``: (rows drawn, pairs kept), of the kind that came; ``subject`` and ``label`` of each of these rows.
    - ``rows``, ``stimuli``: int64, which were drawn.
    """

    rdms: Array
    subject: np.ndarray
    label: np.ndarray
    rows: np.ndarray
    stimuli: np.ndarray


def bootstrap_rdms(
    rdms: Array,
    subject: Array | Sequence[Any],
    label: Array | Sequence[Any],
    *,
    generator: torch.Generator | None = None,
    rows: Sequence[int] | np.ndarray | Tensor | None = None,
    stimuli: Sequence[int] | np.ndarray | Tensor | None = None,
    duplicates: Duplicates = "drop",
) -> Bootstrap:
    """Draw rows and stimuli with replacement, as many as there are, and return the dissimilarities of what was drawn.

    Two draws of one stimulus are no pair that was measured. What becomes of such pairs is said by ``duplicates``: "drop" leaves
    them out of every row, "mean" puts the mean of the row's other pairs there, "nan" marks them.

    The spread of an accuracy over many such draws is its error: the paper takes the standard deviation over 1,000.

    **Arguments:**
    - ``rdms``: (k, pairs) with all pairs of n stimuli; ``subject``, ``label``: of each row, carried along. A row that is drawn
      twice keeps its subject, so that leaving a subject out leaves out all copies of its rows.
    - ``generator``: of the draws, on the CPU; needed unless both of the next are given.
    - ``rows``, ``stimuli``: indices to take in place of draws, of any number; ``range(k)`` or ``range(n)`` resamples the other only.

    Raises InputError on another shape, lengths that differ, an index out of range, no generator where one is needed, or where
    every stimulus drawn is the same.

    Source: Lin & Kriegeskorte, PNAS 2024; `utils_stats.bootstrap` of the authors' code, whose "mean" is that of the column over
    rows, which a pair that is missing in every row does not have.

    >>> import numpy as np
    >>> drawn = bootstrap_rdms(np.array([[1.0, 2.0, 3.0]]), ["a"], ["x"], rows=[0], stimuli=[2, 0, 2], duplicates="nan")
    >>> drawn.rdms
    array([[ 2., nan,  2.]])
    """
    if duplicates not in ("drop", "mean", "nan"):
        raise unknown_name("value of duplicates", str(duplicates), ("drop", "mean", "nan"))
    values = tensor(rdms, "rdms")
    n = count(values.shape[1])
    if n is None:
        raise InputError(
            f"rdms has {values.shape[1]} columns; all pairs of n stimuli are n (n - 1) / 2: 1, 3, 6, 10, ..."
        )
    of_row = {name: _of_rows(names, name, len(values)) for name, names in {"subject": subject, "label": label}.items()}
    if generator is None and (rows is None or stimuli is None):
        raise InputError("generator is missing; it draws the rows and stimuli that are not given")
    drawn = _indices(rows, "rows", len(values), generator)
    shown = _indices(stimuli, "stimuli", n, generator)
    i, j = torch.triu_indices(len(shown), len(shown), 1)
    first, second = shown[i], shown[j]
    measured = first != second
    if not measured.any():
        raise InputError(f"all {len(shown)} stimuli drawn are stimulus {int(shown[0])}, so that no pair is left")
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    # Where the pair (low, high) stands in the condensed form; the value at a pair that is none is not used.
    at = (low * (2 * n - low - 1) // 2 + high - low - 1).clamp(min=0, max=values.shape[1] - 1)
    if duplicates == "drop":
        at, measured = at[measured], measured[measured]
    taken = values[drawn.to(values.device)][:, at.to(values.device)]
    missing = ~measured.to(values.device)
    if missing.any():
        mean = taken[:, ~missing].mean(1, keepdim=True)
        taken = torch.where(missing, mean if duplicates == "mean" else torch.nan, taken)
    picked = drawn.numpy()
    return Bootstrap(like(taken, rdms), of_row["subject"][picked], of_row["label"][picked], picked, shown.numpy())


def _of_rows(names: Array | Sequence[Any], argument: str, rows: int) -> np.ndarray:
    array = np.asarray(names.cpu() if isinstance(names, Tensor) else names)
    if array.shape != (rows,):
        raise InputError(f"rdms has {rows} rows but {argument} has shape {array.shape}; there must be one for each row")
    return array


def _indices(given: Any, argument: str, n: int, generator: torch.Generator | None) -> Tensor:
    """Return the indices that were given, or n drawn with replacement."""
    if given is None:
        return torch.randint(n, (n,), generator=generator)
    found = torch.as_tensor(np.asarray(given))
    whole = found.ndim == 1 and len(found) and not found.is_floating_point()
    if not whole or int(found.min()) < 0 or int(found.max()) >= n:
        raise InputError(f"{argument} must be a list of indices from 0 to {n - 1}; it is {given!r}")
    return found.long()
