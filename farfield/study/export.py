"""Trials as one flat table: a row per trial, a column per entry of its point and its result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farfield.errors import InputError
from farfield.files import write_atomically
from farfield.study.arrays import StoredArray
from farfield.study.listing import listing
from farfield.study.store import Record, Store

if TYPE_CHECKING:
    import pandas

FORMATS = (".parquet", ".csv")
_STORED = ("key", "study", "seed", "state", "attempts", "seconds", "started", "finished", "host", "error")
_FROM_PROVENANCE = ("version", "commit")


def frame(records: Iterable[Record]) -> pandas.DataFrame:
    """Return one row per trial: what the store knows of it, then ``point.*`` and ``result.*``.

    Nested entries are joined with dots (``result.accuracy.iid``), lists are JSON text, an array is the location of its file.

    >>> from dataclasses import fields
    >>> empty = dict.fromkeys(f.name for f in fields(Record))
    >>> record = Record(**{**empty, "point": {"method": "erm"}, "result": {"accuracy": {"iid": 0.5}}, "provenance": {}})
    >>> frame([record]).filter(like=".").to_dict("records")
    [{'point.method': 'erm', 'result.accuracy.iid': 0.5}]
    """
    import pandas as pd

    rows = []
    for r in records:
        row = {name: getattr(r, name) for name in _STORED}
        row |= {name: r.provenance.get(name) for name in _FROM_PROVENANCE}
        row |= flatten(r.point, "point")
        row |= flatten(r.result or {}, "result")
        rows.append(row)
    table = pd.DataFrame(rows, columns=None if rows else [*_STORED, *_FROM_PROVENANCE])
    # In an order that does not depend on which trial came first: what is the same for all, points, results.
    heads = ("point.", "result.")
    order = [c for c in table if not c.startswith(heads)]
    order += [c for head in heads for c in sorted(c for c in table if c.startswith(head))]
    return table[order]


def export(store: Store, path: str | Path, *, study: str | None = None, state: str | None = None) -> int:
    """Write trials to a .parquet or .csv file, whole or not at all; return how many rows it has.

    **Arguments:** ``study``, ``state``: only these (see `farfield.study.listing`).

    Raises InputError on another kind of file.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp(); store = Store(f"sqlite:///{folder}/runs.db")
    >>> export(store, f"{folder}/trials.csv"), store.close()
    (0, None)
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise InputError(f"the file {str(path)!r} must end in {' or '.join(FORMATS)}")
    states = {row["key"]: row["state"] for row in listing(store, study=study, state=state)}
    table = frame([replace(r, state=states[r.key]) for r in store.records(study=study) if r.key in states])
    if path.suffix == ".csv":
        write_atomically(path, table.to_csv(index=False))
        return len(table)
    from io import BytesIO

    # A column of a Parquet file has one type: where trials disagree, such as 3 and "auto", all are texts.
    for column in table:
        kinds = {type(v) for v in table[column] if v is not None and v == v}
        if len(kinds - {int, float}) > 1 or (len(kinds) > 1 and kinds - {int, float}):
            table[column] = table[column].map(_as_text, na_action="ignore")
    buffer = BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomically(path, buffer.getvalue())
    return len(table)


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one, with keys joined by dots; a key that has a dot itself is quoted.

    >>> flatten({"accuracy": {"iid": 0.5, "v1.2": 0.4}, "curve": [1, 2]})
    {'accuracy.iid': 0.5, 'accuracy."v1.2"': 0.4, 'curve': '[1, 2]'}
    """
    flat: dict[str, Any] = {}
    for key, value in data.items():
        name = json.dumps(key, ensure_ascii=False) if "." in key else key
        name = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            flat |= flatten(value, name)
        elif isinstance(value, StoredArray):
            flat[name] = value.location
        else:
            flat[name] = _as_text(value) if isinstance(value, list) else value
    return flat


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=lambda entry: entry.location)
