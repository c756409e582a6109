"""Worker processes: each dies alone, whatever the way, and what they hand back is what the trial made."""

import os
import signal
import sys
import time

import numpy as np
import psutil
import pytest

from farfield.errors import InputError
from farfield.study import Store, Trial, run
from farfield.study.processes import Processes


def work(point, seed):
    match point.get("do"):
        case "sleep":
            time.sleep(point["seconds"])
        case "exit":
            # Without a trace: neither an exception nor a bad exit code.
            os._exit(0)
        case "sys.exit":
            sys.exit("that was all")
        case "unpicklable":
            return {"value": lambda: 0}
        case "large":
            # Far more than a pipe holds.
            return {"array": np.full((1000, 1000), float(seed)), "text": "x" * 1_000_000}
        case "threads":
            import torch

            return {"threads": torch.get_num_threads()}
    return {"pid": os.getpid(), "value": seed}


def trials(*points):
    return [Trial("demo", point, seed) for seed, point in enumerate(points)]


@pytest.fixture
def store(tmp_path):
    store = Store.in_folder(tmp_path)
    yield store
    store.close()


def test_ways_to_end_badly_cost_only_the_trial(store):
    todo = trials({"do": "exit"}, {"do": "sys.exit"}, {"do": "unpicklable"}, {})
    ended = {o.trial.point.get("do"): o for o in run(work, todo, store, workers=2)}
    assert "its worker process died twice (exit code 0" in ended["exit"].error
    assert ended["sys.exit"].error == "SystemExit: that was all"
    assert "value is a builtins.function" in ended["unpicklable"].error
    assert ended[None].result["value"] == 3
    attempts = {r.point.get("do"): r.attempts for r in store.records()}
    assert attempts == {"exit": 2, "sys.exit": 1, "unpicklable": 1, None: 1}


def test_large_results_come_through_the_pipe_to_the_store(store):
    todo = trials({"do": "large"}, {"do": "large"}, {"do": "large"})
    for outcome in run(work, todo, store, workers=2):
        array = np.asarray(outcome.result["array"])
        assert array.shape == (1000, 1000) and (array == outcome.trial.seed).all()
    kept = store.get([todo[1].key])[todo[1].key].result
    assert kept["array"].load()[0, 0] == 1.0 and len(kept["text"]) == 1_000_000


def test_a_worker_has_one_numerical_thread_and_the_driver_keeps_its_environment(store):
    before = dict(os.environ)
    (outcome,) = run(work, trials({"do": "threads"}), store, workers=2, time_limit=60)
    assert outcome.result == {"threads": 1}
    assert dict(os.environ) == before


def test_a_trial_that_cannot_be_imported_is_named(store):
    with pytest.raises(InputError, match="must be a function of a module"):
        list(run(lambda point, seed: {}, trials({}, {}), store, workers=2))
    assert store.records() == []


@pytest.fixture
def pool():
    pools = []

    def start(workers, time_limit=None):
        pools.append(Processes(work, workers, time_limit))
        return pools[-1]

    yield start
    for started in pools:
        started.close()


def all_of(pool, n):
    ended = []
    while len(ended) < n:
        ended += pool.ended(None)
    return ended


def test_workers_are_used_again_and_taken_one_trial_each(pool):
    two = pool(2)
    pids = set()
    for _ in range(3):
        for trial in trials({"do": "sleep", "seconds": 0.05}, {"do": "sleep", "seconds": 0.05}):
            assert two.has_room()
            two.begin(trial)
        assert not two.has_room()
        pids |= {int(attempt.result.text.split()[1].rstrip(",")) for _, attempt in all_of(two, 2)}
    assert len(pids) == 2


def test_a_worker_killed_while_idle_is_nobodys_loss(pool):
    one = pool(1)
    (trial,) = trials({})
    one.begin(trial)
    ((_, attempt),) = all_of(one, 1)
    pid = int(attempt.result.text.split()[1].rstrip(","))
    os.kill(pid, signal.SIGKILL)
    # Whether the next trial finds the dead worker or is sent to it while it dies, it has not begun: no blame.
    one.begin(trial)
    ((_, attempt),) = all_of(one, 1)
    assert attempt.blameless if attempt.died else attempt.result is not None


def test_the_start_of_a_worker_does_not_count_against_the_time_limit(pool):
    # Starting an interpreter alone takes longer than this.
    short = pool(1, time_limit=0.02)
    start = time.monotonic()
    (trial,) = trials({})
    short.begin(trial)
    ((_, attempt),) = all_of(short, 1)
    assert attempt.result is not None and time.monotonic() - start > 0.02


def test_late_trials_are_stopped_while_others_go_on(pool):
    two = pool(2, time_limit=0.5)
    late, punctual = trials({"do": "sleep", "seconds": 60}, {"do": "sleep", "seconds": 0.2})
    two.begin(late)
    two.begin(punctual)
    ended = {trial.seed: attempt for trial, attempt in all_of(two, 2)}
    assert ended[0].error == "the trial took longer than its time limit of 0.5 seconds"
    assert ended[1].result is not None


def test_closing_stops_what_runs(pool):
    before = {p.pid for p in psutil.Process().children()}
    two = pool(2)
    for trial in trials({"do": "sleep", "seconds": 60}, {"do": "sleep", "seconds": 60}):
        two.begin(trial)
    while not all(worker.since for worker in two._workers):
        assert list(two.ended(0.2)) == []
    started = {p for p in psutil.Process().children() if p.pid not in before and "spawn_main" in " ".join(p.cmdline())}
    assert len(started) == 2
    two.close()
    assert not any(p.is_running() for p in started)
