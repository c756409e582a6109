"""What a store holds, as people and scripts read it: one line per trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from farfield.errors import InputError
from farfield.study.owner import living
from farfield.study.store import STATES, Store

# A trial that is "running" in the store, and whose driver is gone: the next run begins it again.
INTERRUPTED = "interrupted"


def listing(store: Store, *, study: str | None = None, state: str | None = None) -> list[dict[str, Any]]:
    """Return for each trial its ``key, study, point, seed, state, seconds, error``, in the order in which they were begun.

    **Arguments:** ``state``: "running", "done", "failed" or "interrupted" (begun by a driver that is gone); None for all.

    >>> import tempfile
    >>> store = Store(f"sqlite:///{tempfile.mkdtemp()}/runs.db")
    >>> listing(store, state="failed"), store.close()
    ([], None)
    """
    if state is not None and state not in (*STATES, INTERRUPTED):
        raise InputError(f"the state is {state!r}; it must be one of {', '.join((*STATES, INTERRUPTED))}")
    records = store.records(study=study, state="running" if state == INTERRUPTED else state)
    alive = living(store)
    rows = []
    for r in records:
        now = INTERRUPTED if r.state == "running" and r.owner not in alive else r.state
        if state in (None, now):
            rows.append(
                {
                    "key": r.key,
                    "study": r.study,
                    "point": r.point,
                    "seed": r.seed,
                    "state": now,
                    "seconds": r.seconds,
                    "error": r.error,
                }
            )
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Return one sentence on how many trials are in which state.

    >>> summary([{"state": "done"}, {"state": "failed"}, {"state": "done"}])
    '3 trials: 2 done, 1 failed'
    """
    counts = Counter(row["state"] for row in rows)
    parts = [f"{counts[state]} {state}" for state in ("done", "failed", "running", INTERRUPTED) if counts[state]]
    return f"{len(rows)} trial{'' if len(rows) == 1 else 's'}: {', '.join(parts)}" if rows else "no trials"


def describe(point: dict[str, Any]) -> str:
    """Return a point in one line.

    >>> describe({"method": "erm", "steps": 300})
    'method=erm steps=300'
    """
    return " ".join(f"{key}={value}" for key, value in point.items())
