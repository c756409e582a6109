"""Whether labelled features are balanced and independent, which comparing their shares of variance takes for granted."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array


@dataclass(frozen=True)
class FeatureDesign:
    """How features are distributed.

    **Fields:**
    - ``balance``: feature -> entropy of its values over that of equally frequent ones; 1 is balanced, 0 one value only.
    - ``association``: (feature, feature) -> Cramer's V; 0 is independent in this sample, 1 one determines the other.
      By chance it is about ``sqrt((r - 1) (c - 1) / (n min(r - 1, c - 1)))`` for r and c values; a feature of one value has 0.

    >>> FeatureDesign(balance={"colour": 1.0, "size": 0.9}, association={("colour", "size"): 0.1}).balance["size"]
    0.9
    """

    balance: dict[str, float]
    association: dict[tuple[str, str], float]


def feature_design(features: Mapping[str, Array]) -> FeatureDesign:
    """Return how balanced each feature is, and how far each two of them depend on each other.

    **Arguments:** ``features``: by name (n,) labels: numbers, truth values or texts, at least one feature of one row.

    Raises InputError where shapes or lengths do not match, or a number is not finite.

    >>> import numpy as np
    >>> found = feature_design({"colour": np.array(["r", "r", "g", "g"]), "size": np.array([0, 1, 0, 1])})
    >>> found.balance["colour"], found.association["colour", "size"]
    (1.0, 0.0)
    """
    codes = {name: _codes(values, f"features[{name!r}]") for name, values in features.items()}
    lengths = {name: len(values) for name, values in codes.items()}
    if len(set(lengths.values())) != 1:
        raise InputError(
            f"features must hold one label for each row, at least one feature; their lengths are {lengths}"
        )
    return FeatureDesign(
        {name: _balance(values) for name, values in codes.items()},
        {(a, b): _cramers_v(codes[a], codes[b]) for a, b in combinations(codes, 2)},
    )


def _codes(values: Array, label: str) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim != 1 or not len(array):
        raise InputError(f"{label} has shape {array.shape}; expected (n,) with n at least 1")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{label} holds a value that is not finite, first in row {int(np.isfinite(array).argmin())}")
    return np.unique(array.astype(str) if array.dtype.kind == "O" else array, return_inverse=True)[1]


def _balance(codes: np.ndarray) -> float:
    share = np.bincount(codes) / len(codes)
    return float(-(share * np.log(share)).sum() / np.log(len(share))) if len(share) > 1 else 0.0


def _cramers_v(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats.contingency import association, crosstab

    table = crosstab(a, b).count
    return float(association(table, method="cramer")) if min(table.shape) > 1 else 0.0
