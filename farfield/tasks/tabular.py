"""The user's tables: CSV and Parquet files with one row per example."""

import csv
import warnings
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from farfield.errors import InputError
from farfield.names import Name, parse
from farfield.tasks import encoding
from farfield.tasks.split import duplicate_groups
from farfield.tasks.task import Task, Text, Vector
from farfield.tasks.userdata import (
    Encoded,
    Rows,
    as_text,
    build,
    check_labels,
    files_hash,
    find_file,
    leave_one_out,
    listed,
    no_column,
    numbered,
    split_list,
    without_test,
)

if TYPE_CHECKING:
    import pandas as pd

OPTIONS = ["target", "domain", "test", "text", "drop", "features"]
# How files spell a missing number. In a column of other strings these are ordinary values ("NA" is Namibia).
GAPS = frozenset({"NA", "N/A", "n/a", "na", "#N/A", "<NA>", "NaN", "nan", "NULL", "Null", "null", "None", "-", "?"})


def expand(name: Name) -> list[Name]:
    """Return one task per held-out domain of the table, or the one task that ``test=`` names.

    Raises InputError as `load` does.
    """
    return leave_one_out(name, _rows(name))


def load(name: Name, seed: int = 0) -> Task:
    """Load a table as a Task.

    **Options of the name:**
    - ``target``, ``domain``: the columns that hold the label and the place a row comes from.
    - ``test``: the held-out domains, a comma list; without it the task trains on all and has the "iid" test only.
    - ``text``: a column of raw text to learn from, in place of the others.
    - ``features``: the columns to learn from, a comma list; by default all others, less those in ``drop``.

    Raises InputError where the file is absent, empty or unreadable, a column is not there, labels, domains or features
    are missing or not finite, and where leaving a domain out cannot work (see `split.check_domains`).

    >>> load(parse("csv:nowhere.csv?target=y&domain=site"))
    Traceback (most recent call last):
    farfield.errors.InputError: file not found: nowhere.csv
    """
    return build(name, _rows(name), seed=seed)


def _rows(name: Name) -> Rows:
    name.check_options(OPTIONS)
    stat = find_file(name.path).stat()
    return _rows_of_file(str(without_test(name)), str(Path.cwd()), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2)
def _rows_of_file(name: str, folder: str, modified: int, size: int) -> Rows:
    # Everything after the name only makes the cache forget a file that changed.
    parsed = parse(name)
    path = find_file(parsed.path)
    as_strings = [parsed.options[k] for k in ("target", "domain", "text") if k in parsed.options]
    frame = read_frame(path, strings=as_strings)
    return table_rows(
        frame,
        parsed.options,
        source=parsed.path,
        fingerprint=files_hash([("", path)], parsed.kind, repr(parsed.options)),
    )


def read_frame(path: Path, *, strings: Collection[str] = ()) -> "pd.DataFrame":
    """Read a .csv, .tsv or .parquet file.

    **Arguments:** ``strings``: columns of a CSV to keep as they are written ("01" stays "01").

    Raises InputError where the file is empty or cannot be read, or two columns have one name.
    """
    import pandas as pd
    import pyarrow

    if path.is_dir():
        raise InputError(f"{path} is a folder; a file is expected")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path, strings)
    except InputError:
        raise
    except pd.errors.ParserWarning as error:
        raise InputError(f"{path} cannot be read: its rows have more values than its header has names") from error
    except (ValueError, OSError, pyarrow.ArrowException, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {str(error).strip().splitlines()[0]}") from error
    frame.columns = [str(c) for c in frame.columns]
    if not frame.columns.is_unique:
        raise InputError(f"{path} has two columns named {frame.columns[frame.columns.duplicated()][0]!r}")
    if len(frame) == 0:
        raise InputError(f"{path} has no rows below its header")
    return frame.reset_index(drop=True)


def _read_csv(path: Path, strings: Collection[str]) -> "pd.DataFrame":
    import pandas as pd

    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        separator = "\t" if path.suffix.lower() == ".tsv" else next((s for s in ",;\t" if s in first), ",")
        file.seek(0)
        header = next(csv.reader(file, delimiter=separator))
    named = [c for c in header if c]
    if len(set(named)) < len(named):
        twice = next(c for c in named if named.count(c) > 1)
        raise InputError(f"{path} has two columns named {twice!r}")
    with warnings.catch_warnings():
        # A row longer than the header would otherwise lose its end.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            path,
            sep=separator,
            encoding="utf-8-sig",
            dtype={c: str for c in strings if c in header},
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            low_memory=False,
        )
    for c in frame.columns:
        if c not in strings and pd.api.types.is_string_dtype(frame[c]):
            gaps = frame[c].isin(GAPS) | frame[c].isna()
            numbers = pd.to_numeric(frame[c].mask(gaps), errors="coerce")
            if not gaps.all() and (numbers.isna() == gaps).all():
                frame[c] = numbers.astype(np.float64)
    return frame


def table_rows(frame: "pd.DataFrame", options: Mapping[str, str], *, source: str, fingerprint: str) -> Rows:
    """Return the rows of a table, whatever it was read from, checked; see `load` for the options.

    Raises InputError as `load` does.
    """
    target, domain, y, d, classes, domains = labels_and_domains(frame, options, source=source)
    if "text" in options:
        column = find_column(frame, options, "text", says="the text", source=source)
        if column in (target, domain):
            raise InputError(f"{source}: text={column} is also the target or the domain")
        text = as_text(frame[column])
        empty = [i for i, v in enumerate(text) if v is None or not v.strip()]
        if empty:
            raise InputError(
                f"{source} has {len(empty)} rows without text (column {column!r}, first in row {empty[0] + 1}); leave "
                "these rows out"
            )
        text = np.array(text, dtype=object)
        return Rows(
            source, y, d, classes, domains, duplicate_groups(text), fingerprint,
            lambda train: Encoded(text, Text(), {"kind": "text", "column": column, "target": target, "domain": domain}),
        )  # fmt: skip
    columns = feature_columns(frame, options, target=target, domain=domain, source=source)
    encoding.check_features(frame, columns, source=source)

    def encode(train: np.ndarray) -> Encoded:
        fitted = encoding.fit(frame, columns, train, source=source)
        x, notes = encoding.apply(fitted, frame, source=source)
        described = {"kind": "vector", "columns": fitted, "target": target, "domain": domain}
        return Encoded(x, Vector(x.shape[1]), described, notes)

    groups, notes = _examples(frame[columns], source=source)
    return Rows(source, y, d, classes, domains, groups, fingerprint, encode, notes)


def labels_and_domains(
    frame: "pd.DataFrame", options: Mapping[str, str], *, source: str
) -> tuple[str, str, np.ndarray, np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return the target and domain columns, the indices of both (n,), and the names of classes and domains.

    Raises InputError where a column is not named or not there, values are missing, or the target is no class.
    """
    target = find_column(frame, options, "target", says="the label", source=source)
    domain = find_column(
        frame, options, "domain", says="the domain (the place or time a row comes from)", source=source
    )
    if target == domain:
        raise InputError(f"{source}: target and domain are the same column, {target!r}")
    y, classes = numbered(frame[target], role="label", source=source)
    d, domains = numbered(frame[domain], role="domain", source=source)
    check_labels(y, classes, column=target, source=source)
    if len(domains) > max(10, len(d) / 2):
        raise InputError(
            f"the domain column {domain!r} of {source} has {len(domains)} different values in {len(d)} rows, which looks "
            "like an identifier; a domain needs many rows"
        )
    return target, domain, y, d, classes, domains


def find_column(frame: "pd.DataFrame", options: Mapping[str, str], option: str, *, says: str, source: str) -> str:
    """Return the column that an option names.

    Raises InputError where the option is not given, or there is no such column, with the columns that there are.
    """
    columns = list(frame.columns)
    if option not in options:
        raise InputError(f"{source}: say which column holds {says} with {option}=; its columns are {listed(columns)}")
    if options[option] not in columns:
        raise no_column(options[option], columns, option=option, source=source)
    return options[option]


def feature_columns(
    frame: "pd.DataFrame", options: Mapping[str, str], *, target: str, domain: str, source: str
) -> list[str]:
    """Return the columns to learn from: those of ``features``, or all but target, domain and those of ``drop``."""
    chosen = {k: split_list(options.get(k, ""), frame.columns) for k in ("features", "drop")}
    for option, columns in chosen.items():
        for c in columns:
            if c not in frame.columns:
                raise no_column(c, frame.columns, option=option, source=source)
    for c in chosen["features"]:
        if c in (target, domain):
            raise InputError(f"{source}: the feature {c!r} is also the target or the domain")
    left_out = {target, domain, *chosen["drop"]}
    columns = [c for c in chosen["features"] or frame.columns if c not in left_out]
    if not columns:
        raise InputError(f"{source} has no feature column besides {', '.join(map(repr, sorted(left_out)))}")
    return columns


def _examples(frame: "pd.DataFrame", *, source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a group number for each row, the same where rows are one example; and notes.

    Rows with equal features are one example, unless the features have so few combinations of values that different
    examples are equal by chance: to keep those apart from a test domain would take whole classes out of training.
    """
    groups = _equal_rows(frame)
    combinations = 1.0
    for c in frame:
        distinct = len(frame) if encoding.kind_of(frame[c], source=source) == "numbers" else frame[c].nunique()
        # A column that hardly repeats tells examples apart.
        combinations *= np.inf if distinct > len(frame) / 4 else distinct
    if combinations >= 10 * len(frame) or len(np.unique(groups)) == len(groups):
        return groups, ()
    note = (
        f"{source} has {len(np.unique(groups))} different rows of features among {len(groups)}, as few as chance gives; "
        "equal rows were taken as different examples."
    )
    return np.arange(len(frame)), (note,)


def _equal_rows(frame: "pd.DataFrame") -> np.ndarray:
    """Return a group number for each row, the same where all features are equal."""
    import pandas as pd

    numbers = [c for c in frame if encoding.kind_of(frame[c], source="") == "number"]
    parts = [frame[numbers].to_numpy(dtype=np.float64)] if numbers else []
    for c in frame:
        if c not in numbers:
            kind = encoding.kind_of(frame[c], source="")
            parts.append(pd.factorize(pd.Series(as_text(frame[c])))[0] if kind == "category" else np.stack(frame[c]))
    return duplicate_groups(*parts)
