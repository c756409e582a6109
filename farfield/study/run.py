"""Runs trials in processes of this machine; each outcome is in the store before the next one is looked at."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, TimeoutError, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from farfield.errors import InputError
from farfield.study.store import Store
from farfield.study.trial import Trial

TrialFunction = Callable[[Mapping[str, Any], int], dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: ``result`` where it is done, else ``error`` (one sentence); ``kept``: from an earlier run."""

    trial: Trial
    result: dict[str, Any] | None
    error: str | None
    seconds: float
    kept: bool = False


def run(
    function: TrialFunction,
    trials: Sequence[Trial],
    store: Store,
    *,
    workers: int = 1,
    time_limit: float | None = None,
    retry_failed: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> Iterator[Outcome]:
    """Yield the outcome of every trial, those kept in the store first, then each as it ends.

    A failed trial never stops the others. Where the caller stops early (Ctrl-C, an exception, closing the iterator), the
    workers are ended, what is done stays in the store, and the next call goes on from there.

    **Arguments:**
    - ``function``: ``function(point, seed) -> dict`` of plain data, importable by name in a worker process.
    - ``workers``: processes, each with one torch thread; 1 runs the trials in this process.
    - ``time_limit``: seconds per trial, above which it fails; needs worker processes.
    - ``retry_failed``: run trials that failed in an earlier run again.

    >>> import tempfile
    >>> from pathlib import Path
    >>> store = Store.in_folder(Path(tempfile.mkdtemp()))
    >>> [o.result for o in run(lambda point, seed: {"sum": point["a"] + seed}, [Trial("demo", {"a": 1}, 2)], store)]
    [{'sum': 3}]
    >>> store.close()
    """
    if workers < 1:
        raise InputError(f"workers is {workers}; it must be at least 1")
    known = store.get(t.key for t in trials)
    todo = []
    for trial in trials:
        record = known.get(trial.key)
        if record and record.state == "done":
            yield Outcome(trial, record.result, None, record.seconds or 0.0, kept=True)
        elif record and record.state == "failed" and not retry_failed:
            yield Outcome(trial, None, record.error, record.seconds or 0.0, kept=True)
        else:
            todo.append(trial)
    if not todo:
        return
    if workers == 1 and time_limit is None:
        yield from _run_here(function, todo, store, provenance or {})
    else:
        yield from _run_in_processes(function, todo, store, min(workers, len(todo)), time_limit, provenance or {})


def _run_here(
    function: TrialFunction, todo: Sequence[Trial], store: Store, provenance: Mapping[str, Any]
) -> Iterator[Outcome]:
    for trial in todo:
        store.start(trial, provenance=provenance)
        yield _record(trial, *_attempt(function, trial.point, trial.seed), store)


def _run_in_processes(
    function: TrialFunction,
    todo: Sequence[Trial],
    store: Store,
    workers: int,
    time_limit: float | None,
    provenance: Mapping[str, Any],
) -> Iterator[Outcome]:
    from pebble import ProcessExpired, ProcessPool

    # A fresh interpreter per worker: forking a process that has used torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPool(workers, initializer=_prepare_worker, context=context) as pool:
        waiting: dict[Any, tuple[Trial, int]] = {}
        queue = [(trial, 1) for trial in reversed(todo)]
        try:
            while queue or waiting:
                # Few trials are handed out ahead, so that what is marked as running is close to what runs.
                while queue and len(waiting) < 2 * workers:
                    trial, attempt = queue.pop()
                    store.start(trial, provenance=provenance)
                    future = pool.schedule(_attempt, (function, trial.point, trial.seed), timeout=time_limit)
                    waiting[future] = (trial, attempt)
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    trial, attempt = waiting.pop(future)
                    try:
                        outcome = future.result()
                    except TimeoutError:
                        sentence = f"the trial took longer than its time limit of {time_limit:g} seconds"
                        outcome = (None, sentence, sentence, time_limit)
                    except ProcessExpired as death:
                        # Out of memory, or killed from outside: it may have been bad luck, so once more.
                        if attempt == 1:
                            queue.append((trial, 2))
                            continue
                        sentence = f"its worker process died twice (exit code {death.exitcode}; out of memory?)"
                        outcome = (None, sentence, sentence, 0.0)
                    yield _record(trial, *outcome, store)
        except BaseException:
            pool.stop()
            raise


def _attempt(
    function: TrialFunction, point: Mapping[str, Any], seed: int
) -> tuple[dict[str, Any] | None, str | None, str | None, float]:
    """Call the trial; what it raises is part of the outcome, not the end of the run."""
    start = time.perf_counter()
    try:
        return function(point, seed), None, None, time.perf_counter() - start
    except Exception as error:
        sentence = str(error) if str(error) else type(error).__name__
        if not isinstance(error, InputError | ArithmeticError):
            sentence = f"{type(error).__name__}: {sentence}"
        return None, sentence, traceback.format_exc(), time.perf_counter() - start


def _record(
    trial: Trial, result: dict[str, Any] | None, error: str | None, trace: str | None, seconds: float, store: Store
) -> Outcome:
    if result is not None:
        try:
            store.finish(trial.key, result, seconds=seconds)
            return Outcome(trial, result, None, seconds)
        except (TypeError, ValueError) as problem:
            error = trace = f"the result of the trial is not plain finite data: {problem}"
    store.fail(trial.key, error or "", trace or "", seconds=seconds)
    return Outcome(trial, None, error, seconds)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let new processes start with one thread for each numerical library; restore the environment afterwards."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _prepare_worker() -> None:
    # Ctrl-C reaches the whole process group; the driver alone decides what to do with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
