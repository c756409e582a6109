"""Trials in processes of this machine: one pipe and one trial at a time for each, so that a death costs that trial only.

Nothing is shared between the workers, no queue and no lock: a worker can be killed at any moment without harm to another.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from farfield.errors import InputError
from farfield.study.attempt import Attempt, TrialFunction, attempt, out_of_time
from farfield.study.trial import Trial


class InThisProcess:
    """Runs one trial at a time, here: nothing to start, and no protection from a trial that ends the process."""

    def __init__(self, function: TrialFunction):
        self._function = function
        self._trial: Trial | None = None

    def has_room(self) -> bool:
        """Return whether another trial can be begun now."""
        return self._trial is None

    def begin(self, trial: Trial) -> None:
        """Take a trial, which `ended` then runs."""
        self._trial = trial

    def ended(self, timeout: float | None) -> Iterator[tuple[Trial, Attempt]]:
        """Run the trial and yield how it ended."""
        trial, self._trial = self._trial, None
        if trial is not None:
            yield trial, attempt(self._function, trial.point, trial.seed)

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class _Worker:
    process: Any
    pipe: connection.Connection
    trial: Trial | None = None
    # Set when the worker says that it has begun: its own start does not count against the trial's time.
    since: float | None = None


class Processes:
    """Runs trials in worker processes with one thread each for numerical libraries.

    **Arguments:** ``function``: importable by name in a worker; ``workers``: how many; ``time_limit``: seconds per trial
    (None: none). A worker ends by itself when this process is gone, killed or not.

    Raises InputError where ``function`` cannot be imported by name.

    >>> pool = Processes(dict.get, workers=1)
    >>> pool.begin(Trial("demo", {}, seed=0)); ended = []
    >>> while not ended: ended = list(pool.ended(timeout=60))
    >>> ended[0][1].error, pool.close()
    ('the result of the trial is not plain finite data: it is a NoneType, and a trial must return a dict', None)
    """

    def __init__(self, function: TrialFunction, workers: int, time_limit: float | None = None):
        try:
            ForkingPickler.dumps(function)
        except Exception as error:
            raise InputError(
                f"the trial {function!r} cannot be imported by name in a worker process: it must be a function of a module"
            ) from error
        self._function, self._size, self._time_limit = function, workers, time_limit
        # A fresh interpreter per worker: forking a process that has used torch's threads can hang.
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def has_room(self) -> bool:
        """Return whether another trial can be begun now."""
        return sum(worker.trial is not None for worker in self._workers) < self._size

    def begin(self, trial: Trial) -> None:
        """Give a trial to an idle worker, or to a new one."""
        for worker in [w for w in self._workers if w.trial is None]:
            if worker.process.is_alive() and self._send(worker, trial):
                return
            # It died with nothing to do: nobody's loss.
            self._end(worker)
        worker = self._start()
        if not self._send(worker, trial):
            # It died at once; `ended` will see it.
            worker.trial = trial

    def ended(self, timeout: float | None) -> Iterator[tuple[Trial, Attempt]]:
        """Wait until a trial ends, at most ``timeout`` seconds (None: any time), and yield those that did."""
        busy = [worker for worker in self._workers if worker.trial is not None]
        handles = [handle for worker in busy for handle in (worker.pipe, worker.process.sentinel)]
        spoke = connection.wait(handles, self._patience(busy, timeout))
        for worker in busy:
            trial = worker.trial
            assert trial is not None
            if worker.pipe in spoke or worker.process.sentinel in spoke:
                found = self._hear(worker)
                if found is not None:
                    yield trial, found
                    continue
            if self._is_late(worker):
                self._end(worker)
                yield trial, out_of_time(self._time_limit or 0.0)

    def close(self) -> None:
        """End the workers; a trial that still runs is stopped."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in list(self._workers):
            self._end(worker)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs,), name="farfield-worker")
        with _one_thread_each():
            process.start()
        # Only the worker holds its end now, so that its death is the end of the pipe.
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _send(self, worker: _Worker, trial: Trial) -> bool:
        try:
            worker.pipe.send((self._function, dict(trial.point), trial.seed))
        except OSError:
            return False
        worker.trial, worker.since = trial, None
        return True

    def _hear(self, worker: _Worker) -> Attempt | None:
        """Return what a worker tells: None for a sign that it has begun, a death where it says nothing more."""
        try:
            # What it said before it died counts, so the pipe is read before the process is looked at.
            while worker.pipe.poll():
                told = worker.pipe.recv()
                if isinstance(told, Attempt):
                    worker.trial = None
                    return told
                worker.since = time.monotonic()
        except (EOFError, OSError):
            pass
        else:
            if worker.process.is_alive():
                return None
        worker.process.join()
        code, begun = worker.process.exitcode, worker.since is not None
        self._end(worker)
        return Attempt(died=f"exit code {code}; out of memory?", blameless=not begun)

    def _patience(self, busy: list[_Worker], timeout: float | None) -> float | None:
        """Return how long to wait at most: not beyond the next time limit."""
        waits = [] if timeout is None else [timeout]
        if self._time_limit is not None:
            now = time.monotonic()
            waits += [max(0.0, worker.since + self._time_limit - now) for worker in busy if worker.since is not None]
        return min(waits, default=None)

    def _is_late(self, worker: _Worker) -> bool:
        if self._time_limit is None or worker.since is None:
            return False
        return time.monotonic() - worker.since >= self._time_limit

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        # The end of its pipe ends an idle worker in good order; a busy one does not read it.
        worker.pipe.close()
        if worker.trial is None:
            worker.process.join(timeout=2)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()


def _serve(pipe: connection.Connection) -> None:
    """What a worker does: one trial after the other, until the driver closes the pipe or is gone."""
    # Ctrl-C reaches the whole process group; the driver alone decides what to do with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    try:
        while True:
            try:
                function, point, seed = pipe.recv()
            except (ImportError, AttributeError) as error:
                sentence = f"the trial cannot be loaded in a worker process: {type(error).__name__}: {error}"
                pipe.send(Attempt(error=sentence, traceback=sentence))
                continue
            pipe.send("begun")
            pipe.send(attempt(function, point, seed))
    except (EOFError, OSError):
        # The driver has closed the pipe, or is gone.
        return


def _end_with_the_driver() -> None:
    """End this process when the driver is gone, in the middle of a trial too: nobody would take its result."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let new processes start with one thread for each numerical library; restore the environment afterwards."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
