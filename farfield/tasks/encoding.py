"""How columns of a table become one input vector: fitted on the training rows, kept as plain JSON, applied to new rows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.errors import InputError
from farfield.tasks.userdata import as_text, listed

if TYPE_CHECKING:
    import pandas as pd

# A column of strings with more values than this is not one-hot encoded.
MOST_CATEGORIES = 1000


def kind_of(values: "pd.Series", *, source: str) -> str:
    """Return "number", "category" (strings and booleans) or "numbers" (each value a list of numbers).

    Raises InputError on a column of anything else, such as dates.

    >>> import pandas as pd
    >>> [kind_of(pd.Series(v), source="x") for v in ([1, 2], ["a", "b"], [True, False], [[1.0], [2.0]])]
    ['number', 'category', 'category', 'numbers']
    """
    import pandas as pd
    from pandas.api import types

    if isinstance(values.dtype, pd.CategoricalDtype) or types.is_bool_dtype(values) or types.is_string_dtype(values):
        return "category"
    if types.is_numeric_dtype(values) and not types.is_complex_dtype(values):
        return "number"
    present = values.dropna()
    if values.dtype == object and len(present):
        if all(isinstance(v, str | bool) for v in present):
            return "category"
        if all(isinstance(v, list | tuple | np.ndarray) for v in present):
            return "numbers"
    what = f"{values.dtype} values" if values.dtype != object else "values of mixed or unknown types"
    raise InputError(
        f"the column {values.name!r} of {source} holds {what}; turn them into numbers or strings, or leave the column out "
        f"with drop={values.name}"
    )


def check_features(frame: "pd.DataFrame", columns: Sequence[str], *, source: str) -> None:
    """Refuse columns that cannot be inputs, before any compute.

    Raises InputError where values are missing or infinite (how many, in which columns), a column of strings has almost
    as many values as there are rows, or a column only counts the rows.
    """
    gaps, total = [], {"missing": 0, "infinite": 0}
    for c in columns:
        kind = kind_of(frame[c], source=source)
        missing = int(frame[c].isna().sum())
        infinite = 0
        if kind == "number":
            infinite = int(np.isinf(_floats(frame[c])).sum())
        elif kind == "numbers" and not missing:
            values = _block(frame[c], source=source)
            missing, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
        if missing or infinite:
            gaps.append(f"{c} ({_both(missing, infinite)})")
            total["missing"] += missing
            total["infinite"] += infinite
    if gaps:
        shown = ", ".join(gaps[:10]) + (f" and {len(gaps) - 10} more columns" if len(gaps) > 10 else "")
        raise InputError(
            f"{source} has {_both(**total)} feature values: {shown}; fill them in, or leave columns out with drop="
        )
    for c in columns:
        kind = kind_of(frame[c], source=source)
        if kind == "category":
            _check_categories(frame[c], source=source)
        elif kind == "number" and len(frame) >= 10 and np.all(np.diff(_floats(frame[c])) == 1):
            raise InputError(
                f"the column {c!r} of {source} only counts the rows, so it tells where a row lies in the file; leave it "
                f"out with drop={c}"
            )


def _check_categories(values: "pd.Series", *, source: str) -> None:
    import pandas as pd

    distinct = values.nunique()
    if distinct <= max(10, len(values) / 2) and distinct <= MOST_CATEGORIES:
        return
    not_numbers = pd.to_numeric(pd.Series(as_text(values)), errors="coerce").isna()
    if not_numbers.mean() < 0.5:
        first = int(np.flatnonzero(not_numbers)[0]) if not_numbers.any() else 0
        raise InputError(
            f"the column {values.name!r} of {source} is mostly numbers but holds strings, the first in row {first + 1} "
            f"({values.iloc[first]!r}); mend it, or leave the column out with drop={values.name}"
        )
    raise InputError(
        f"the column {values.name!r} of {source} has {distinct} different strings in {len(values)} rows, which looks like "
        f"an identifier or free text; leave it out with drop={values.name}, or read it as text with text={values.name}"
    )


def fit(frame: "pd.DataFrame", columns: Sequence[str], rows: np.ndarray, *, source: str) -> list[dict[str, Any]]:
    """Return the encoding of each column, fitted on these rows only, as plain JSON.

    Numbers are standardised with the mean and the standard deviation of these rows (a column that does not vary among
    them is only centred); strings and booleans become one 0/1 input per value that occurs in these rows.

    >>> import pandas as pd
    >>> fit(pd.DataFrame({"a": [1.0, 3.0, 100.0], "b": ["x", "y", "z"]}), ["a", "b"], np.array([0, 1]), source="x.csv")
    [{'name': 'a', 'type': 'number', 'mean': [2.0], 'std': [1.0]}, {'name': 'b', 'type': 'category', 'values': ['x', 'y']}]
    """
    fitted: list[dict[str, Any]] = []
    for c in columns:
        kind = kind_of(frame[c], source=source)
        if kind == "category":
            fitted.append({"name": c, "type": kind, "values": sorted(set(as_text(frame[c].iloc[rows])))})
            continue
        values = _block(frame[c], source=source)[rows]
        mean, std = values.mean(axis=0), values.std(axis=0)
        # What rounding leaves of a constant column is no spread.
        std = np.where(std > 1e-12 * np.maximum(1.0, np.abs(mean)), std, 1.0)
        fitted.append({"name": c, "type": kind, "mean": mean.tolist(), "std": std.tolist()})
    return fitted


def apply(
    columns: Sequence[Mapping[str, Any]], frame: "pd.DataFrame", *, source: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the rows as inputs (n, size) float32, and a note on each column with values that were not seen in training.

    Raises InputError where a column is missing, of another type or length, or its values are not finite.

    >>> import pandas as pd
    >>> columns = [{"name": "a", "type": "number", "mean": [2.0], "std": [0.5]},
    ...            {"name": "b", "type": "category", "values": ["x", "y"]}]
    >>> apply(columns, pd.DataFrame({"a": [3.0], "b": ["y"]}), source="new.csv")[0]
    array([[2., 0., 1.]], dtype=float32)
    """
    sizes = [len(c["values"]) if c["type"] == "category" else len(c["mean"]) for c in columns]
    x = np.zeros((len(frame), sum(sizes)), dtype=np.float32)
    notes: list[str] = []
    at = 0
    for c, size in zip(columns, sizes):
        name = c["name"]
        if name not in frame.columns:
            raise InputError(f"{source} lacks the column {name!r}; its columns are {listed(list(frame.columns))}")
        if c["type"] == "category":
            codes = _codes(frame[name], c["values"])
            known = codes >= 0
            x[np.flatnonzero(known), at + codes[known]] = 1
            if not known.all():
                first = as_text(frame[name].iloc[[int(np.flatnonzero(~known)[0])]])[0]
                notes.append(
                    f"{int((~known).sum())} of {len(known)} rows of {source} have a value of {name!r} that no training row "
                    f"has, such as {first!r}; it was read as none of the known ones."
                )
        else:
            values = _block(frame[name], source=source)
            if values.shape[1] != size:
                raise InputError(f"{name!r} of {source} holds {values.shape[1]} numbers per row; {size} are expected")
            with np.errstate(over="ignore"):  # looked at right below
                x[:, at : at + size] = (values - np.asarray(c["mean"])) / np.asarray(c["std"])
            if not np.isfinite(x[:, at : at + size]).all():
                raise InputError(f"the column {name!r} of {source} holds numbers too large for 32-bit floats")
        at += size
    return x, tuple(notes)


def _codes(values: "pd.Series", known: Sequence[str]) -> np.ndarray:
    import pandas as pd

    text = as_text(values)
    if set(known) <= {"True", "False"}:
        # Booleans are written in several ways; read as strings, they would not match.
        text = [v.capitalize() if v is not None else v for v in text]
    return pd.Index(list(known), dtype=object).get_indexer(pd.Index(text, dtype=object))


def _floats(values: "pd.Series") -> np.ndarray:
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _block(values: "pd.Series", *, source: str) -> np.ndarray:
    """Return a column of numbers, or of equally long lists of numbers, as (n, size) float64."""
    from pandas.api import types

    if types.is_numeric_dtype(values) or types.is_bool_dtype(values):
        return _floats(values)[:, None]
    if values.dtype == object and all(isinstance(v, list | tuple | np.ndarray) for v in values):
        lengths = {len(v) for v in values}
        if len(lengths) != 1:
            raise InputError(
                f"the column {values.name!r} of {source} holds lists of {min(lengths)} to {max(lengths)} values; they must "
                "have one length"
            )
        try:
            block = np.array([np.asarray(v, dtype=np.float64) for v in values])
        except (TypeError, ValueError):
            block = np.empty(0)
        if block.ndim == 2:
            return block
        raise InputError(f"the column {values.name!r} of {source} holds lists of something else than numbers")
    raise InputError(f"the column {values.name!r} of {source} holds {values.dtype} values; numbers are expected")


def _both(missing: int, infinite: int) -> str:
    return " and ".join(f"{n} {what}" for n, what in ((missing, "missing"), (infinite, "infinite")) if n)
