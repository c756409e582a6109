"""Runs trials and keeps them: each outcome is in the store before the next one is looked at.

Several drivers may work on one store at once, on one machine or many: they share the trials.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from farfield.errors import InputError
from farfield.study.arrays import decode
from farfield.study.attempt import Attempt, TrialFunction
from farfield.study.owner import Owner, living
from farfield.study.processes import InThisProcess, Processes
from farfield.study.store import Record, Store
from farfield.study.trial import Trial

# Seconds between two looks at what other drivers have done.
LOOK = 0.5
# How often a trial is begun again after it lost its worker without blame: the machine went, or it had not yet begun.
BLAMELESS = 5


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: ``result`` where it is done, else ``error`` (one sentence); ``kept``: not run by this call.

    The arrays of a result are read when they are used: ``np.asarray(outcome.result["features"])``.
    """

    trial: Trial
    result: dict[str, Any] | None
    error: str | None
    seconds: float
    kept: bool = False


class Pool(Protocol):
    """Where trials run: takes some at a time and says how they ended."""

    def has_room(self) -> bool: ...

    def begin(self, trial: Trial) -> None: ...

    def ended(self, timeout: float | None) -> Iterator[tuple[Trial, Attempt]]: ...

    def close(self) -> None: ...


def run(
    function: TrialFunction,
    trials: Sequence[Trial],
    store: Store,
    *,
    workers: int | None = None,
    on: str = "local",
    time_limit: float | None = None,
    retry_failed: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> Generator[Outcome, None, None]:
    """Yield the outcome of every trial once, those kept in the store first, then each as it ends.

    A failed trial never stops the others. A worker that dies costs its trial one retry. Where the caller stops early
    (Ctrl-C, an exception, closing the iterator), the workers are ended, what is done stays in the store, and the next call
    goes on from there; so it does after this process was killed. What another driver runs at the same time is waited for,
    and taken over where that driver dies.

    **Arguments:**
    - ``function``: ``function(point, seed) -> dict`` of plain data and numpy arrays, importable by name in a worker.
    - ``workers``: trials at a time, each in a process with one thread for numerical libraries. By default 1 on this
      machine, and that one runs in this process; on a Ray cluster all its CPUs.
    - ``on``: "local", "ray" (``$RAY_ADDRESS``, else a cluster of this machine alone), "ray:ADDRESS" or "ray://HOST:PORT".
    - ``time_limit``: seconds per trial, above which it fails; runs it in a worker process.
    - ``retry_failed``: run trials that failed in an earlier run again.
    - ``provenance``: plain data, kept with each trial.

    >>> import tempfile
    >>> from pathlib import Path
    >>> store = Store.in_folder(Path(tempfile.mkdtemp()))
    >>> [o.result for o in run(lambda point, seed: {"sum": point["a"] + seed}, [Trial("demo", {"a": 1}, 2)], store)]
    [{'sum': 3}]
    >>> store.close()
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; it must be at least 1")
    if time_limit is not None and not time_limit > 0:
        raise InputError(f"time_limit is {time_limit} seconds; it must be above 0")
    if on not in ("local", "ray") and not on.startswith("ray:"):
        raise InputError(f"on is {on!r}; expected local, ray, ray:ADDRESS or ray://HOST:PORT")
    return _run(function, trials, store, workers, on, time_limit, retry_failed, provenance or {})


def _run(
    function: TrialFunction,
    trials: Sequence[Trial],
    store: Store,
    workers: int | None,
    on: str,
    time_limit: float | None,
    retry_failed: bool,
    provenance: Mapping[str, Any],
) -> Generator[Outcome, None, None]:
    wanted = {trial.key: trial for trial in trials}
    known = store.get(wanted)
    todo: deque[tuple[Trial, Record | None]] = deque()
    for key, trial in wanted.items():
        record = known.get(key)
        if record is not None and _is_settled(record, retry_failed):
            yield _kept(trial, record)
        else:
            todo.append((trial, record))
    if not todo:
        return
    # In this order, so that the workers are ended before their trials are given back.
    with Owner(store) as owner, closing(_open_pool(function, workers, on, time_limit, len(todo))) as pool:
        yield from _Driver(pool, owner, store, provenance, todo).outcomes()


def _is_settled(record: Record, retry_failed: bool) -> bool:
    return record.state == "done" or (record.state == "failed" and not retry_failed)


def _kept(trial: Trial, record: Record) -> Outcome:
    return Outcome(trial, record.result, record.error, record.seconds or 0.0, kept=True)


def _open_pool(function: TrialFunction, workers: int | None, on: str, time_limit: float | None, trials: int) -> Pool:
    if on != "local":
        from farfield.study.on_ray import OnRay

        return OnRay(function, on.removeprefix("ray").removeprefix(":"), workers, time_limit)
    if workers in (None, 1) and time_limit is None:
        return InThisProcess(function)
    return Processes(function, min(workers or 1, trials), time_limit)


class _Driver:
    """Claims trials while there is room for them, records how they end, and watches those that other drivers have."""

    def __init__(
        self,
        pool: Pool,
        owner: Owner,
        store: Store,
        provenance: Mapping[str, Any],
        todo: deque[tuple[Trial, Record | None]],
    ):
        self._pool, self._owner, self._store, self._provenance = pool, owner, store, provenance
        # A trial is in one of these three; todo has with each what was seen of it in the store.
        self._todo = todo
        self._running: set[str] = set()
        self._elsewhere: dict[str, Trial] = {}
        self._deaths: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()

    def outcomes(self) -> Iterator[Outcome]:
        """Yield each outcome; all that has ended at one time is recorded before the first of it is yielded."""
        looked = time.monotonic()
        while self._todo or self._running or self._elsewhere:
            self._begin_what_fits()
            if self._running:
                ended = self._pool.ended(LOOK if self._elsewhere else None)
                yield from [o for o in (self._settle(trial, found) for trial, found in ended) if o is not None]
            else:
                time.sleep(LOOK)
            if self._elsewhere and time.monotonic() - looked >= LOOK:
                yield from self._look_elsewhere()
                looked = time.monotonic()

    def _begin_what_fits(self) -> None:
        while self._todo and self._pool.has_room():
            trial, seen = self._todo.popleft()
            living_elsewhere = (
                seen is not None
                and seen.state == "running"
                # Asked after the trial was read: an owner is in the store before its first trial is.
                and seen.owner in living(self._store)
            )
            if living_elsewhere or not self._owner.claim(trial, seen, provenance=self._provenance):
                self._elsewhere[trial.key] = trial
            else:
                self._running.add(trial.key)
                self._pool.begin(trial)

    def _settle(self, trial: Trial, found: Attempt) -> Outcome | None:
        """Record how an attempt ended; None where the trial goes on, here or with another driver."""
        if found.died:
            if self._deserves_another(trial, found):
                if self._owner.begin_again(trial):
                    self._pool.begin(trial)
                    return None
                return self._lost(trial)
            often = f"{BLAMELESS + 1} times" if found.blameless else "twice"
            sentence = f"its worker process died {often} ({found.died})"
            found = replace(found, error=sentence, traceback=sentence)
        self._running.discard(trial.key)
        if found.result is None:
            kept = self._owner.fail(trial, found.error, found.traceback, seconds=found.seconds, host=found.host)
            return Outcome(trial, None, found.error, found.seconds) if kept else self._lost(trial)
        if not self._owner.finish(trial, found.result, seconds=found.seconds, host=found.host):
            return self._lost(trial)
        if found.result.arrays is None:
            return Outcome(trial, decode(found.result.text, None), None, found.seconds)
        return Outcome(trial, self._store.get([trial.key])[trial.key].result, None, found.seconds)

    def _deserves_another(self, trial: Trial, found: Attempt) -> bool:
        # Out of memory, or killed from outside: it may have been bad luck, so once more.
        if not found.blameless:
            self._deaths[trial.key] += 1
            return self._deaths[trial.key] == 1
        self._losses[trial.key] += 1
        return self._losses[trial.key] <= BLAMELESS

    def _lost(self, trial: Trial) -> None:
        """This driver was taken for dead, and another has the trial now."""
        self._running.discard(trial.key)
        self._elsewhere[trial.key] = trial

    def _look_elsewhere(self) -> Iterator[Outcome]:
        records = self._store.get(self._elsewhere)
        alive = living(self._store)
        for key, trial in list(self._elsewhere.items()):
            record = records.get(key)
            if record is not None and record.state == "running" and record.owner in alive:
                continue
            del self._elsewhere[key]
            if record is not None and _is_settled(record, retry_failed=False):
                yield _kept(trial, record)
            else:
                # Given back, or its driver died.
                self._todo.append((trial, record))
