"""The same trials on a Ray cluster: Ray finds the place and carries them there, the driver claims and records as always."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from farfield.errors import InputError, MissingExtra
from farfield.study.attempt import Attempt, TrialFunction, attempt
from farfield.study.processes import Processes
from farfield.study.trial import Trial

# Seconds for which the size of the cluster is believed: nodes come and go.
_SIZE_HOLDS = 5.0


class OnRay:
    """Runs trials as Ray tasks, one CPU each, and one GPU where the trial's ``device`` is one.

    A node that is lost costs its trials an attempt and no blame; a worker that dies is the trial's own death.

    **Arguments:** ``address``: "" for ``$RAY_ADDRESS`` or else a cluster of this machine alone, or "HOST:PORT", "auto",
    "//HOST:PORT" (Ray Client, which needs ``ray[client]``); ``workers``: trials at a time (None: one per CPU of the
    cluster, which may grow); ``time_limit``: seconds per trial, from its begin in a process of its own.

    A cluster that asks for a token gets the one in ``$RAY_AUTH_TOKEN``. Every node must have this version of farfield. A relative path in a trial is looked for in the driver's current folder
    where a node has a folder of that name, as on a shared disk.

    Raises MissingExtra where ray is not installed, InputError where no cluster answers at the address.
    """

    def __init__(self, function: TrialFunction, address: str, workers: int | None, time_limit: float | None = None):
        try:
            import ray
        except ImportError as error:
            raise MissingExtra("ray", extra="ray", needed_by="running on ray") from error
        self._ray, self._workers, self._time_limit = ray, workers, time_limit
        # A cluster that the caller has connected to is used, and left connected.
        self._connected = not ray.is_initialized()
        if self._connected:
            _connect(ray, address, workers)
        self._function = ray.put(function)
        # Retries are counted in the store, so they are the driver's; num_cpus also gives a worker one numerical thread.
        self._task = ray.remote(num_cpus=1, max_retries=0)(_in_a_ray_worker)
        self._tasks: dict[Any, Trial] = {}
        self._size, self._sized = 0, float("-inf")

    def has_room(self) -> bool:
        """Return whether the cluster has a CPU for another trial."""
        if self._workers is not None:
            return len(self._tasks) < self._workers
        if time.monotonic() - self._sized > _SIZE_HOLDS:
            self._size, self._sized = int(self._ray.cluster_resources().get("CPU", 0)), time.monotonic()
        return len(self._tasks) < self._size

    def begin(self, trial: Trial) -> None:
        """Hand a trial to the cluster. Raises InputError where it needs a GPU and the cluster has none."""
        gpus = int(str(trial.point.get("device", "")).startswith("cuda"))
        if gpus and self._ray.cluster_resources().get("GPU", 0) < 1:
            raise InputError(f"a trial needs the device {trial.point['device']}, and the Ray cluster has no GPU")
        task = self._task.options(num_gpus=gpus).remote(
            self._function, dict(trial.point), trial.seed, os.getcwd(), self._time_limit
        )
        self._tasks[task] = trial

    def ended(self, timeout: float | None) -> Iterator[tuple[Trial, Attempt]]:
        """Wait until a trial ends, at most ``timeout`` seconds (None: any time), and yield those that did."""
        first, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=timeout)
        if not first:
            return
        ready, _ = self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        for task in ready:
            trial = self._tasks.pop(task)
            yield trial, self._attempt(task)

    def close(self) -> None:
        """Stop what still runs, and leave the cluster where it was this that connected to it."""
        for task in self._tasks:
            self._ray.cancel(task, force=True)
        self._tasks.clear()
        if self._connected:
            self._ray.shutdown()

    def _attempt(self, task: Any) -> Attempt:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(task)
        except (exceptions.NodeDiedError, exceptions.LocalRayletDiedError, exceptions.ObjectLostError):
            return Attempt(died="its Ray node was lost", blameless=True)
        except exceptions.OutOfMemoryError:
            return Attempt(died="Ray ended it: out of memory")
        except exceptions.WorkerCrashedError:
            return Attempt(died="killed; out of memory?")
        except exceptions.RayError as error:
            sentence = f"Ray could not run the trial: {str(error).strip().splitlines()[-1]}"
            return Attempt(error=sentence, traceback=str(error))


def _connect(ray: Any, address: str, workers: int | None) -> None:
    import logging

    address = f"ray:{address}" if address.startswith("//") else address or os.environ.get("RAY_ADDRESS", "")
    alone = {} if address else {"num_cpus": workers, "include_dashboard": False}
    try:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        if colon and port.isdigit():
            # Ray itself would try for minutes.
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address or "local", logging_level=logging.WARNING, log_to_driver=False, **alone)
    except (ConnectionError, ImportError, ValueError, RuntimeError, OSError) as error:
        raise InputError(
            f"no Ray cluster answers at {address or 'this machine'}: {str(error).splitlines()[0]}"
        ) from error


def _in_a_ray_worker(
    function: TrialFunction, point: Mapping[str, Any], seed: int, folder: str, time_limit: float | None
) -> Attempt:
    # The user's own modules and files are named relative to where the driver was started.
    if os.path.isdir(folder):
        os.chdir(folder)
    if time_limit is None:
        return attempt(function, point, seed)
    # A process of its own, which can be stopped in the middle, unlike the worker that Ray lends.
    pool = Processes(function, workers=1, time_limit=time_limit)
    try:
        pool.begin(Trial("", point, seed))
        while True:
            for _, found in pool.ended(timeout=None):
                return found
    finally:
        pool.close()
