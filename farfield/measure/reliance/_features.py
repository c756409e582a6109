"""Rows of features of any kind (arrays, tensors, data frames), and groups of their columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array, tensor

Coordinates = Sequence[int] | Sequence[str] | Array


def is_frame(x: Any) -> bool:
    """Whether x is a data frame of pandas; it is known by what it has, so that pandas need not be there."""
    return hasattr(x, "iloc") and hasattr(x, "columns")


def checked(x: Any) -> Any:
    """Return features as they are, or as an array, after checking that they have rows and features."""
    x = x if is_frame(x) or isinstance(x, Tensor) else np.asarray(x)
    if len(x.shape) < 2 or 0 in x.shape:
        raise InputError(f"x has shape {tuple(x.shape)}; expected (n, ...) with at least one row and one feature")
    return x


def count(x: Any) -> int:
    """Return how many features a row has."""
    return int(np.prod(x.shape[1:]))


def places(x: Any, coords: Coordinates, name: str = "coords") -> Tensor:
    """Return places (m,) of features in the flattened row: from whole numbers, or from names of a data frame's columns."""
    listed = coords.tolist() if isinstance(coords, Tensor | np.ndarray) else list(coords)
    if is_frame(x):
        columns = list(x.columns)
        unknown = [c for c in listed if c not in columns]
        if unknown:
            raise unknown_name(f"column in {name}", str(unknown[0]), map(str, columns))
        listed = [columns.index(c) for c in listed]
    numbers = np.asarray(listed)
    if listed and (numbers.dtype.kind not in "iu" or numbers.ndim > 1):
        raise InputError(f"{name} holds {listed[:3]}; expected places of features, whole numbers from 0")
    found, total = torch.tensor(numbers.astype(np.int64)), count(x)
    if len(found) and not 0 <= int(found.min()) <= int(found.max()) < total:
        raise InputError(
            f"{name} goes from {int(found.min())} to {int(found.max())}; x has the features 0 to {total - 1}"
        )
    if len(found.unique()) < len(found):
        raise InputError(f"{name} names a feature twice")
    return found


def group_places(x: Any, groups: Mapping[str, Coordinates]) -> dict[str, Tensor]:
    """Return the places of each group."""
    if not groups:
        raise InputError("groups is empty; expected name -> places of its features")
    return {name: places(x, coords, f"the group {name!r}") for name, coords in groups.items()}


def checked_rotation(rotation: Array | None, d: int) -> Tensor | None:
    """Return an orthogonal matrix (d, d), float64, None where none was given."""
    if rotation is None:
        return None
    found = tensor(rotation, "rotation")
    if found.shape != (d, d):
        raise InputError(f"rotation has shape {tuple(found.shape)}; x has {d} features, so it must be ({d}, {d})")
    if not torch.allclose(found @ found.T, torch.eye(d, dtype=found.dtype, device=found.device), atol=1e-4):
        raise InputError("rotation is not orthogonal: rotation @ rotation.T is not the identity")
    return found
