"""Who goes where: training, validation, near test and far test, stratified and seeded, no example in two of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farfield.errors import InputError

VALIDATION, IID = 0.2, 0.2


@dataclass(frozen=True)
class Assignment:
    """Row indices of each split, and what was set aside.

    **Fields:** ``train``, ``val``, ``iid`` (rows of the training domains); ``tests`` by domain index; ``dropped``:
    number of training-domain rows left out because the same example also lies in a test domain.
    """

    train: np.ndarray
    val: np.ndarray
    iid: np.ndarray
    tests: dict[int, np.ndarray]
    dropped: int


def assign(
    y: np.ndarray,
    domain: np.ndarray,
    *,
    test_domains: Sequence[int] = (),
    groups: np.ndarray | None = None,
    seed: int = 0,
    validation: float = VALIDATION,
    iid: float = IID,
) -> Assignment:
    """Assign every row to one split, stratified by domain and class.

    Rows of ``test_domains`` are far tests, whole. The other rows are shared out at random: a share ``validation`` for
    model selection, a share ``iid`` for the near test, the rest for training (at least one row of each class and domain).

    **Arguments:**
    - ``y``, ``domain``: (n,) integers.
    - ``groups``: (n,) integers; rows of one group are the same example and stay together. A group that also has a row
      in a test domain leaves the training domains. See `duplicate_groups`.

    Raises InputError on shares that leave nothing to train on, arrays of different lengths, or a test domain without rows.

    >>> y, domain = np.array([0, 1] * 20), np.repeat([0, 1], 20)
    >>> a = assign(y, domain, test_domains=[1], seed=0)
    >>> len(a.train), len(a.val), len(a.iid), len(a.tests[1]), a.dropped
    (12, 4, 4, 20, 0)
    """
    # iid 0 is for data that comes with official test rows: they are the near test, whole.
    if validation <= 0 or iid < 0 or validation + iid >= 1:
        raise InputError(
            f"validation is {validation} and iid {iid}; the first must be above 0, the second at least 0, their sum below 1"
        )
    groups = np.arange(len(y)) if groups is None else groups
    if not len(y) == len(domain) == len(groups):
        raise InputError(
            f"y, domain and groups have {len(y)}, {len(domain)} and {len(groups)} rows; they must be equal"
        )
    for d in test_domains:
        if d not in domain:
            raise InputError(f"the test domain {d} has no row")
    rng = np.random.default_rng([seed, 0xFA2])
    is_test = np.isin(domain, list(test_domains))
    tests = {d: np.flatnonzero(domain == d) for d in test_domains}
    seen_in_test = np.isin(groups, groups[is_test]) & ~is_test
    rows = np.flatnonzero(~is_test & ~seen_in_test)
    strata = np.unique(np.stack([domain[rows], y[rows]], axis=1), axis=0, return_inverse=True)[1].ravel()

    # The first row of each group stands for it; the others follow it.
    first, member = np.unique(groups[rows], return_index=True, return_inverse=True)[1:]
    split = np.zeros(len(first), dtype=int)
    by_stratum = np.argsort(strata[first], kind="stable")
    bounds = np.flatnonzero(np.diff(strata[first][by_stratum])) + 1
    # What rounding leaves over goes to the next stratum: small classes are not always missing from one split, and the
    # whole split has its share.
    over_val, over_iid = rng.random(2)
    for order in np.split(by_stratum, bounds) if len(by_stratum) else ():
        order = rng.permutation(order)
        want_val, want_iid = validation * len(order) + over_val, iid * len(order) + over_iid
        n_val = min(int(want_val), len(order) - 1)
        n_iid = min(int(want_iid), len(order) - 1 - n_val)
        over_val, over_iid = min(want_val - n_val, 1), min(want_iid - n_iid, 1)
        split[order[:n_val]] = 1
        split[order[n_val : n_val + n_iid]] = 2
    # Rows that followed their group may have been the only ones of their domain and class: such a group trains.
    for s in np.setdiff1d(strata, strata[split[member] == 0]):
        split[member[strata == s][0]] = 0
    where = split[member]
    return Assignment(rows[where == 0], rows[where == 1], rows[where == 2], tests, dropped=int(seen_in_test.sum()))


def duplicate_groups(*columns: np.ndarray) -> np.ndarray:
    """Return a group number (n,) for each row, the same for rows that are equal in all columns.

    **Arguments:** arrays of one length n: numbers of any shape ``(n, ...)``, or strings.

    >>> duplicate_groups(np.array([[1, 2], [3, 4], [1, 2]])).tolist()
    [0, 1, 0]
    """
    numbers: dict[tuple[bytes, ...], int] = {}
    parts = [_comparable(np.asarray(c)) for c in columns]
    result = np.empty(len(columns[0]), dtype=np.int64)
    for i in range(len(result)):
        key = tuple(p[i].tobytes() if isinstance(p, np.ndarray) else p[i] for p in parts)
        result[i] = numbers.setdefault(key, len(numbers))
    return result


def _comparable(values: np.ndarray) -> np.ndarray | list[bytes]:
    """Return rows whose bytes are equal where the rows are."""
    if values.dtype.kind in "OUS":
        return [str(v).encode() for v in values]
    if values.dtype.kind == "f":
        values = values + 0.0  # -0.0 becomes 0.0
    return np.ascontiguousarray(values).reshape(len(values), -1) if len(values) else values


def check_domains(
    y: np.ndarray, domain: np.ndarray, *, classes: Sequence[str], domains: Sequence[str], source: str
) -> None:
    """Refuse data on which leaving a domain out cannot work, before any compute.

    Raises InputError where there is one domain only, the labels are all the same, or a class exists in one domain alone
    (left out, it could not be learned; kept, it could not be tested).

    >>> check_domains(np.array([0, 1]), np.array([0, 0]), classes=["a", "b"], domains=["s"], source="x.csv")
    Traceback (most recent call last):
    farfield.errors.InputError: x.csv has one domain only ('s'); holding up elsewhere needs at least two
    """
    if len(domains) < 2:
        raise InputError(f"{source} has one domain only ({domains[0]!r}); holding up elsewhere needs at least two")
    if len(classes) < 2:
        raise InputError(f"the labels of {source} are all the same ({classes[0]!r}); there is nothing to learn")
    for c, name in enumerate(classes):
        homes = np.unique(domain[y == c])
        if len(homes) == 0:
            raise InputError(f"the class {name!r} of {source} has no row")
        if len(homes) == 1:
            raise InputError(
                f"the class {name!r} of {source} exists in one domain alone ({domains[homes[0]]!r}); "
                "leave its rows out, or merge it with another class"
            )


def duplicate_notes(groups: np.ndarray, dropped: int) -> tuple[str, ...]:
    """Return sentences on duplicated rows for `Task.notes`; none where there are none.

    >>> duplicate_notes(np.array([0, 1, 0]), dropped=0)
    ('1 of 3 rows repeats another one; equal rows were kept in one split.',)
    """
    repeats = len(groups) - len(np.unique(groups))
    notes = []
    if repeats:
        notes.append(
            f"{repeats} of {len(groups)} rows {'repeats' if repeats == 1 else 'repeat'} another one; "
            "equal rows were kept in one split."
        )
    if dropped:
        notes.append(
            f"{dropped} training {'row was' if dropped == 1 else 'rows were'} left out because the same example lies in a "
            "test domain."
        )
    return tuple(notes)
