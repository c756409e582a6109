"""Sentiment of Amazon reviews across four kinds of products: a real shift in text, as word and word-pair counts.

The standard protocol of Ganin et al. (JMLR 2016, table 1): 2,000 reviews of each kind to train on, the others to test.
"""

import functools
import hashlib
import io
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks import fetch
from farfield.tasks.split import assign, duplicate_groups, duplicate_notes
from farfield.tasks.task import Classes, Table, Task, Vector

DOMAINS = ("books", "dvd", "electronics", "kitchen")
FEATURES = 5000
LEAVE_OUT = tuple(f"amazon/leave-out-{d}" for d in DOMAINS)
PAIRS = tuple(f"amazon/{a}-{b}" for a, b in permutations(DOMAINS, 2))
NAMES: tuple[str, ...] = ("amazon", *LEAVE_OUT, *(f"amazon/{d}" for d in DOMAINS), *PAIRS)


def expand(name: Name) -> list[Name]:
    """Return the concrete tasks: leave-one-domain-out for ``amazon``, the 12 of ``amazon/pairs``, or the name itself.

    Raises InputError on an unknown name, with the nearest known ones.

    >>> from farfield.names import parse
    >>> [n.path for n in expand(parse("amazon"))][0], len(expand(parse("amazon/pairs")))
    ('amazon/leave-out-books', 12)
    """
    families = {"amazon": LEAVE_OUT, "amazon/pairs": PAIRS}
    if name.path in families:
        return [Name(name.kind, path, dict(name.options)) for path in families[name.path]]
    if name.path not in NAMES:
        raise unknown_name("task", name.path, [*NAMES, *families])
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return one task: ``amazon/leave-out-books``, ``amazon/books`` (the other three are far), ``amazon/books-dvd``.

    ``amazon`` alone trains on all four and has only the near test. The 2,000 training reviews of each training domain
    are split into training and validation; its official test reviews are the near test. The official test reviews of
    the other domains are the far tests. Inputs are 5,000 counts as published.

    Raises InputError on an unknown name or option, or where the data cannot be had.
    """
    if name.path == "amazon/pairs":
        raise InputError(f"{name.path} stands for several tasks; load one of {', '.join(PAIRS)}")
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    name.check_options([])
    sources, targets = _sources_and_targets(name.path.partition("/")[2])
    reviews = _reviews()

    # Only the rows of this task: training files of the sources, test files of sources and targets.
    homes = [
        *((d, "train") for d in sources),
        *((d, "test") for d in sources),
        *((d, "test") for d in targets),
    ]
    rows = np.concatenate([reviews.rows[home] for home in homes])
    file = np.repeat(np.arange(len(homes)), [len(reviews.rows[home]) for home in homes])
    y, groups = reviews.y[rows], reviews.groups[rows]
    tests = range(len(sources), len(homes))
    a = assign(y, file, test_domains=tests, groups=groups, seed=seed, iid=0)
    near = np.concatenate([a.tests[len(sources) + i] for i in range(len(sources))])
    far = {d: a.tests[2 * len(sources) + i] for i, d in enumerate(targets)}
    # A review that lies in the near and in a far test stays in the far one; in two far tests, in the first.
    kept, taken = {}, np.array([], dtype=np.int64)
    for label, part in [*far.items(), ("iid", near)]:
        kept[label] = part[~np.isin(groups[part], taken)]
        taken = np.union1d(taken, groups[part])
    removed = len(near) + sum(len(part) for part in far.values()) - sum(len(part) for part in kept.values())

    def table(part: np.ndarray, **columns: Any) -> Table:
        return Table(x=reviews.x[rows[part]].toarray(), y=y[part], **columns)

    # Training files come first, then the test files in the same order.
    domain = file % len(sources)
    train, val, iid = (table(p, domain=domain[p]) for p in (a.train, a.val, kept["iid"]))
    notes = [*fetch.notices("amazon-reviews"), *duplicate_notes(groups, a.dropped)]
    if removed:
        notes.append(
            f"{removed} test {'row' if removed == 1 else 'rows'} left out because another test has the same example."
        )
    return Task(
        str(name),
        train,
        val,
        {"iid": iid, **{d: table(kept[d]) for d in targets}},
        Vector(FEATURES),
        Classes(2, ("negative", "positive")),
        domains=sources,
        notes=tuple(notes),
        fingerprint=hashlib.sha256(f"{reviews.fingerprint} {name}".encode()).hexdigest(),
    )


def _sources_and_targets(task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not task:
        return DOMAINS, ()
    if task.startswith("leave-out-"):
        target = task.removeprefix("leave-out-")
        return tuple(d for d in DOMAINS if d != target), (target,)
    source, _, target = task.partition("-")
    return (source,), (target,) if target else tuple(d for d in DOMAINS if d != source)


@dataclass(frozen=True)
class _Reviews:
    """All 27,677 reviews: ``x`` a scipy CSR matrix, and the row numbers of each (domain, "train" or "test")."""

    x: Any
    y: np.ndarray
    groups: np.ndarray
    rows: dict[tuple[str, str], np.ndarray]
    fingerprint: str


@functools.lru_cache(maxsize=1)
def _reviews() -> _Reviews:
    import scipy.sparse
    from sklearn.datasets import load_svmlight_file

    folder = fetch.path("amazon-reviews")
    digest, xs, ys, rows, start = hashlib.sha256(), [], [], {}, 0
    for domain in DOMAINS:
        for part in ("train", "test"):
            file = f"{domain}_{part}.svmlight"
            content = fetch.read(folder, file)
            try:
                # Feature numbers run from 0 to 4999.
                x, y = load_svmlight_file(io.BytesIO(content), n_features=FEATURES, zero_based=True, dtype=np.float32)
            except ValueError as error:
                raise InputError(f"{folder / file} is not svmlight text of {FEATURES} features: {error}") from error
            digest.update(content)
            xs.append(x)
            ys.append(y > 0)
            rows[domain, part] = np.arange(start, start + len(y))
            start += len(y)
    x = scipy.sparse.vstack(xs, format="csr")
    x.sort_indices()
    spans = zip(x.indptr[:-1], x.indptr[1:])
    # Equal rows have equal non-zero entries; the digest of those stands for the row.
    keys = [hashlib.sha256(x.indices[i:j].tobytes() + x.data[i:j].tobytes()).hexdigest() for i, j in spans]
    groups = duplicate_groups(np.array(keys))
    return _Reviews(x, np.concatenate(ys).astype(np.int64), groups, rows, digest.hexdigest())
