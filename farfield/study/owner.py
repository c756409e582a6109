"""Who runs a trial: drivers that share a store claim trials one by one, and inherit those of a driver that died.

A claim is one compare-and-swap on the trial's row, so of two drivers exactly one gets it. A driver shows that it lives by a
heartbeat in the store. A driver that was taken for dead and comes back can no longer write to the trials that it lost.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from farfield.study.arrays import Encoded
from farfield.study.schema import owners as _owners
from farfield.study.schema import trials as _trials
from farfield.study.store import Record, Store
from farfield.study.trial import Trial

# Seconds between two signs of life, and the silence after which a driver counts as dead.
BEAT, SILENCE = 5.0, 120.0


class Owner:
    """A driver of trials, as a context: leaving it, by an exception too, gives back what it claimed and did not end.

    >>> import tempfile
    >>> store, trial = Store(f"sqlite:///{tempfile.mkdtemp()}/runs.db"), Trial("demo", {}, 0)
    >>> with Owner(store) as a, Owner(store) as b:
    ...     a.claim(trial, None, provenance={}), b.claim(trial, None, provenance={})
    (True, False)
    >>> store.get([trial.key])
    {}
    >>> store.close()
    """

    def __init__(self, store: Store):
        self.id = uuid.uuid4().hex
        self._store = store
        self._provenance: tuple[Any, str] = (None, "{}")
        self._stop = threading.Event()
        self._pulse = threading.Thread(target=self._keep_beating, name="farfield-heartbeat", daemon=True)

    def __enter__(self) -> Owner:
        alive = living(self._store)
        self._store.write(lambda c: c.execute(sa.delete(_owners).where(_owners.c.id.not_in(alive))))
        self._store.write(self._beat)
        self._pulse.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pulse.join()
        self._store.write(self._release)

    def claim(self, trial: Trial, seen: Record | None, *, provenance: Mapping[str, Any]) -> bool:
        """Begin a trial if it still is as it was ``seen`` in the store (None: absent); return whether it is ours now."""
        values = {
            "state": "running",
            "attempts": seen.attempts + 1 if seen else 1,
            "owner": self.id,
            "started": _now(),
            "provenance": self._as_text(provenance),
        }
        if seen is None:
            insert = _insert(self._store)(_trials).values(
                key=trial.key,
                study=trial.study,
                point=json.dumps(trial.point),
                seed=trial.seed,
                sources=json.dumps(trial.sources),
                **values,
            )
            statement: Any = insert.on_conflict_do_nothing(index_elements=["key"])
        else:
            same = (
                _trials.c[name].is_not_distinct_from(getattr(seen, name)) for name in ("state", "attempts", "owner")
            )
            statement = sa.update(_trials).where(_trials.c.key == trial.key, *same).values(**values)
        return self._store.write(lambda connection: self._took(connection, statement, trial, "running"))

    def begin_again(self, trial: Trial) -> bool:
        """Count one more attempt at a trial that is ours; return whether it still is."""
        return self._change(trial, attempts=_trials.c.attempts + 1)

    def finish(self, trial: Trial, result: Encoded, *, seconds: float, host: str) -> bool:
        """Record the result of a trial; return False, and record nothing, where it was lost to another driver."""
        arrays = self._store.arrays
        file = arrays.write(trial.key, result.arrays) if result.arrays is not None else None
        kept = self._change(
            trial,
            state="done",
            result=result.text,
            arrays=file,
            seconds=seconds,
            host=host,
            finished=_now(),
            error=None,
            traceback=None,
        )
        if not kept and file is not None:
            arrays.remove(file)
        return kept

    def fail(self, trial: Trial, error: str, traceback: str, *, seconds: float, host: str) -> bool:
        """Record that a trial failed, with one sentence and its traceback; False as in `finish`."""
        return self._change(
            trial,
            state="failed",
            error=_writable(error),
            traceback=_writable(traceback),
            seconds=seconds,
            host=host,
            finished=_now(),
        )

    def _change(self, trial: Trial, **values: Any) -> bool:
        ours = (_trials.c.key == trial.key, _trials.c.owner == self.id, _trials.c.state == "running")
        statement = sa.update(_trials).where(*ours).values(**values)
        return self._store.write(lambda c: self._took(c, statement, trial, values.get("state", "running")))

    def _took(self, connection: sa.Connection, statement: Any, trial: Trial, state: str) -> bool:
        """Run a statement that changes a trial; whether it now is ours in this state."""
        if connection.execute(statement).rowcount == 1:
            return True
        # No such row, or the first of two tries, whose connection broke while it committed, was kept after all.
        row = connection.execute(sa.select(_trials.c.owner, _trials.c.state).where(_trials.c.key == trial.key)).first()
        return row is not None and (row.owner, row.state) == (self.id, state)

    def _release(self, connection: sa.Connection) -> None:
        """A trial that was stopped is as if it had not been begun; one that was tried again is failed, as before."""
        ours = (_trials.c.owner == self.id, _trials.c.state == "running")
        connection.execute(sa.delete(_trials).where(*ours, _trials.c.error.is_(None)))
        connection.execute(sa.update(_trials).where(*ours).values(state="failed"))
        connection.execute(sa.delete(_owners).where(_owners.c.id == self.id))

    def _beat(self, connection: sa.Connection) -> None:
        values = {
            "place": place(),
            "pid": os.getpid(),
            "began": psutil.Process().create_time(),
            "heartbeat": self._store.clock(connection),
        }
        insert = _insert(self._store)(_owners).values(id=self.id, **values)
        connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))

    def _keep_beating(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                self._store.write(self._beat)
            except sa.exc.SQLAlchemyError:
                # Not lost: the driver meets the same trouble at its next write and ends with it, and if it is taken for
                # dead meanwhile, it cannot write to the trials that another then has.
                continue

    def _as_text(self, provenance: Mapping[str, Any]) -> str:
        if self._provenance[0] is not provenance:
            self._provenance = (provenance, json.dumps(provenance))
        return self._provenance[1]


def living(store: Store) -> set[str]:
    """Return the ids of the drivers that live: heard of lately and, where they are on this machine, still there.

    What was read from the store before this call and belongs to none of these is nobody's.
    """
    here = place()

    def read(connection: sa.Connection) -> list[Any]:
        now = store.clock(connection)
        return [row for row in connection.execute(sa.select(_owners)).all() if row.heartbeat > now - SILENCE]

    return {row.id for row in store.read(read) if row.place != here or _runs(row.pid, row.began)}


def place() -> str:
    """Return what tells this machine, since its last start, and this container from all others that have process ids.

    >>> place() == place()
    True
    """
    parts = [platform.node()]
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            parts.append(file.read().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        # Only Linux has these; elsewhere the name of the machine must do, and the heartbeat decides.
        pass
    return " ".join(parts)


def _runs(pid: int, began: float) -> bool:
    """Whether the process that began at this time still runs: not another with the same number, nor a dead one's entry."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - began) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _insert(store: Store) -> Any:
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[store.engine.dialect.name]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _writable(text: str) -> str:
    """Messages come from anywhere; PostgreSQL takes neither NUL nor half a surrogate pair."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
