"""What the user's own data have in common, whatever file they lie in: labels, domains, checks, splits."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from farfield.errors import InputError, nearest_names, unknown_name
from farfield.names import Name
from farfield.tasks.split import assign, check_domains, duplicate_notes
from farfield.tasks.task import Classes, Image, Table, Task, Text, Vector

if TYPE_CHECKING:
    import pandas as pd

# A far accuracy that rests on fewer rows than this is noted.
FEW_ROWS = 30


class Encoded(NamedTuple):
    """All rows as inputs: ``x`` (n, ...) or n strings, its kind, and the plain JSON that reads new rows in the same way."""

    x: Any
    inputs: Image | Vector | Text
    encoding: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """A user's labelled rows before they are split.

    **Fields:**
    - ``source``: how errors and notes name the data.
    - ``y``, ``domain``: (n,) int64, indices into ``classes`` and ``domains``.
    - ``groups``: (n,) int64, equal for rows that are the same example.
    - ``encode``: ``encode(train_rows) -> Encoded``; what is fitted (means, categories) sees only those rows.
    """

    source: str
    y: np.ndarray
    domain: np.ndarray
    classes: tuple[str, ...]
    domains: tuple[str, ...]
    groups: np.ndarray
    fingerprint: str
    encode: Callable[[np.ndarray], Encoded]
    notes: tuple[str, ...] = ()


def leave_one_out(name: Name, rows: Rows) -> list[Name]:
    """Return the concrete tasks of a name: itself where it has ``test=``, else one per held-out domain."""
    check_domains(rows.y, rows.domain, classes=rows.classes, domains=rows.domains, source=rows.source)
    if "test" in name.options:
        held_out_domains(name, rows)
        return [name]
    return [name.with_options(test=d) for d in rows.domains]


def held_out_domains(name: Name, rows: Rows) -> list[int]:
    """Return the indices of the domains that ``test=a,b`` names; none where there is no ``test``.

    Raises InputError where one is not in the data, or no domain is left to train on.
    """
    if "test" not in name.options:
        return []
    chosen = split_list(name.options["test"], rows.domains)
    for text in chosen:
        if text not in rows.domains:
            raise unknown_name(f"test domain of {rows.source}", text, rows.domains)
    if not chosen or len(chosen) == len(rows.domains):
        raise InputError(
            f"test={name.options['test']} holds out {len(chosen)} of {len(rows.domains)} domains of {rows.source}; "
            "name at least one and leave at least one to train on"
        )
    return [rows.domains.index(text) for text in chosen]


def build(name: Name, rows: Rows, *, seed: int) -> Task:
    """Split the rows and encode them as a Task; without ``test=`` it trains on all domains and has the "iid" test only.

    Raises InputError where the data cannot carry the question: one domain, one label, a class in one domain alone, too
    few rows.
    """
    check_domains(rows.y, rows.domain, classes=rows.classes, domains=rows.domains, source=rows.source)
    held_out = held_out_domains(name, rows)
    a = assign(rows.y, rows.domain, test_domains=held_out, groups=rows.groups, seed=seed)
    without = f" without {name.options['test']}" if held_out else ""
    if a.dropped:
        without += f" and {a.dropped} rows that also lie in a test domain"
    for c, label in enumerate(rows.classes):
        if c not in rows.y[a.train]:
            raise InputError(
                f"the class {label!r} of {rows.source} has no row left to train on{without}; "
                "hold out fewer domains, or leave its rows out"
            )
    if not len(a.val) or not len(a.iid):
        raise InputError(
            f"{rows.source} has too few rows{without}: {len(a.train) + len(a.val) + len(a.iid)} rows over "
            f"{len(rows.classes)} classes leave none for validation or the near test; at least 5 per domain and class "
            "are needed"
        )
    # Whole domains can leave where all their rows also lie in a test domain; the others are numbered anew.
    training = sorted(set(rows.domain[a.train].tolist()))
    renumber = np.full(len(rows.domains), -1, dtype=np.int64)
    renumber[training] = np.arange(len(training))

    encoded = rows.encode(a.train)
    table = Table(x=encoded.x, y=rows.y)

    def of_training_domains(at: np.ndarray) -> Table:
        return table.take(at).replace(domain=renumber[rows.domain[at]])

    notes = [*rows.notes, *duplicate_notes(rows.groups, a.dropped), *encoded.notes]
    notes += [
        f"The far accuracy on {rows.domains[d]!r} rests on {len(at)} rows only."
        for d, at in a.tests.items()
        if len(at) < FEW_ROWS
    ]
    return Task(
        name=str(name),
        train=of_training_domains(a.train),
        val=of_training_domains(a.val),
        tests={
            "iid": of_training_domains(a.iid),
            **{_test_name(rows.domains[d]): table.take(at) for d, at in a.tests.items()},
        },
        inputs=encoded.inputs,
        outputs=Classes(len(rows.classes), rows.classes),
        domains=tuple(rows.domains[d] for d in training),
        notes=tuple(notes),
        fingerprint=rows.fingerprint,
        encoding={**encoded.encoding, "classes": list(rows.classes)},
    )


def _test_name(domain: str) -> str:
    # "iid" is the near test's name in every task.
    return "iid (domain)" if domain == "iid" else domain


def numbered(values: "pd.Series", *, role: str, source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return indices (n,) int64 and the names that they stand for, sorted (by value where all are numbers).

    Raises InputError where values are missing (how many, the first row).

    >>> import pandas as pd
    >>> numbered(pd.Series([10.0, 9.0, 10.0], name="y"), role="label", source="x.csv")
    (array([1, 0, 1]), ('9', '10'))
    """
    text = as_text(values)
    missing = [i for i, v in enumerate(text) if v is None or not v.strip()]
    if missing:
        raise InputError(
            f"{source} has {_count(len(missing), f'missing {role}')} (column {values.name!r}, first in row "
            f"{missing[0] + 1}); fill them in or leave these rows out"
        )
    try:
        names = sorted(set(text), key=lambda v: (float(v), v))
    except ValueError:
        names = sorted(set(text))
    index = {v: i for i, v in enumerate(names)}
    return np.array([index[v] for v in text], dtype=np.int64), tuple(names)


def check_labels(y: np.ndarray, classes: Sequence[str], *, column: str, source: str) -> None:
    """Refuse a target that is a quantity or an identifier rather than a class.

    Raises InputError where more than 20 labels are numbers with a fraction among them, or more than 20 labels make up
    over half of the rows.

    >>> check_labels(np.arange(30), [str(i / 7) for i in range(30)], column="price", source="x.csv")
    Traceback (most recent call last):
    farfield.errors.InputError: the target 'price' of x.csv has 30 different numbers in 30 rows, which looks like a
    quantity; farfield learns classes: cut it into bins first
    """
    if len(classes) <= 20:
        return
    try:
        fractions = any(not float(c).is_integer() for c in classes)
    except ValueError:
        fractions = False
    if fractions:
        raise InputError(
            f"the target {column!r} of {source} has {len(classes)} different numbers in {len(y)} rows, which looks like a "
            "quantity; farfield learns classes: cut it into bins first"
        )
    if len(classes) > len(y) / 2:
        raise InputError(
            f"the target {column!r} of {source} has {len(classes)} different values in {len(y)} rows, which looks like an "
            "identifier or a quantity; farfield learns classes"
        )


def as_text(values: "pd.Series") -> list[str | None]:
    """Return values as strings: whole numbers without ".0", None where missing.

    >>> import pandas as pd
    >>> as_text(pd.Series([1.0, 2.5, None])), as_text(pd.Series([True, False])), as_text(pd.Series(["a", None]))
    (['1', '2.5', None], ['True', 'False'], ['a', None])
    """
    return [
        None if missing else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v)
        for v, missing in zip(values.astype(object), values.isna())
    ]


def split_list(text: str, known: Iterable[str]) -> list[str]:
    """Return the parts of a comma list, each once; a text that is itself a known name stays whole.

    >>> split_list("b, a", ["a", "b"]), split_list("x, y", ["x, y"])
    (['b', 'a'], ['x, y'])
    """
    if text in set(known):
        return [text]
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def find_file(path: str, *, role: str = "file") -> Path:
    """Return the path of a file or folder that exists.

    >>> find_file("nowhere.csv")
    Traceback (most recent call last):
    farfield.errors.InputError: file not found: nowhere.csv
    """
    found = Path(path).expanduser()
    if not path or not found.exists():
        raise InputError(f"{role} not found: {path or '(no path was given)'}")
    return found


def no_column(name: str, columns: Iterable[str], *, option: str, source: str) -> InputError:
    """Return the error for a column that is not there, with those that are, the nearest first.

    >>> str(no_column("Y", ["age", "y"], option="target", source="x.csv"))
    "x.csv has no column 'Y' (target=Y); its columns are y, age"
    """
    columns = list(columns)
    nearest = nearest_names(name, columns)
    return InputError(
        f"{source} has no column {name!r} ({option}={name}); its columns are "
        f"{listed([*nearest, *(c for c in columns if c not in nearest)])}"
    )


def listed(names: Sequence[str]) -> str:
    """Return names as a comma list, cut after 20.

    >>> listed(["a", "b"])
    'a, b'
    """
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def files_hash(files: Iterable[tuple[str, Path]], *options: str) -> str:
    """Return the SHA-256 of names, bytes and the options that change what is read from them."""
    digest = hashlib.sha256(repr(options).encode())
    for label, path in files:
        with path.open("rb") as file:
            digest.update(f"\0{label}\0".encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def without_test(name: Name) -> Name:
    """Return the name without ``test=``, its options in one order: what decides which rows are read.

    >>> from farfield.names import parse
    >>> str(without_test(parse("csv:a.csv?test=s1&target=y&domain=site")))
    'csv:a.csv?domain=site&target=y'
    """
    return Name(name.kind, name.path, {k: v for k, v in sorted(name.options.items()) if k != "test"})


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")
