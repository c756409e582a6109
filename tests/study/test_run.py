"""Trials run once, failures stay with their trial, and what is done survives an interruption."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from farfield.errors import InputError
from farfield.study import Store, Trial, run


def double(point, seed):
    if point.get("fail"):
        raise InputError("it was asked to fail")
    if point.get("nan"):
        return {"value": float("nan")}
    if point.get("sleep"):
        time.sleep(point["sleep"])
    if point.get("die_unless"):
        # Dies the first time, as a process that is out of memory does; a file remembers it.
        path = point["die_unless"]
        if not os.path.exists(path):
            open(path, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
    if point.get("always_die"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": 2 * point["x"] + seed, "pid": os.getpid()}


@pytest.fixture
def store(tmp_path):
    store = Store.in_folder(tmp_path)
    yield store
    store.close()


def trials(*points, seed=0):
    return [Trial("demo", p, seed) for p in points]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_trial_once_and_kept_for_the_next_run(store, workers):
    todo = trials({"x": 1}, {"x": 2}, {"x": 3})
    first = {o.trial.key: o for o in run(double, todo, store, workers=workers)}
    assert {o.result["value"] for o in first.values()} == {2, 4, 6}
    assert not any(o.kept for o in first.values())
    assert (os.getpid() in {o.result["pid"] for o in first.values()}) == (workers == 1)
    again = list(run(double, todo, store, workers=workers))
    assert all(o.kept for o in again)
    assert {o.trial.key: o.result for o in again} == {k: o.result for k, o in first.items()}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_stays_with_its_trial_and_is_retried_on_demand(store, workers):
    todo = trials({"x": 1, "fail": True}, {"x": 2}, {"x": 3, "nan": True})
    ended = {o.trial.point["x"]: o for o in run(double, todo, store, workers=workers)}
    assert ended[1].error == "it was asked to fail" and ended[1].result is None
    assert ended[2].result["value"] == 4
    assert "not plain finite data" in ended[3].error
    record = store.get([todo[0].key])[todo[0].key]
    assert record.state == "failed" and "InputError" in record.traceback
    assert all(o.kept for o in run(double, todo, store))
    retried = {o.trial.point["x"]: o.kept for o in run(double, todo, store, retry_failed=True)}
    assert retried == {1: False, 2: True, 3: False}


def test_a_worker_that_dies_costs_its_trial_one_retry(store, tmp_path):
    todo = trials({"x": 1, "die_unless": str(tmp_path / "died")}, {"x": 2}, {"x": 3, "always_die": True})
    ended = {o.trial.point["x"]: o for o in run(double, todo, store, workers=2)}
    assert ended[1].result["value"] == 2
    assert ended[2].result["value"] == 4
    assert "died twice" in ended[3].error


def test_time_limit_fails_that_trial_only(store):
    todo = trials({"x": 1, "sleep": 60}, {"x": 2})
    ended = {o.trial.point["x"]: o for o in run(double, todo, store, workers=2, time_limit=5)}
    assert "time limit of 5 seconds" in ended[1].error
    assert ended[2].result["value"] == 4


def test_stopping_early_keeps_what_is_done(store):
    todo = trials(*({"x": i} for i in range(5)))
    stream = run(double, todo, store)
    next(stream), next(stream)
    stream.close()
    assert sorted(o.kept for o in run(double, todo, store)) == [False, False, False, True, True]


def test_killed_driver_goes_on_from_where_it_stopped(tmp_path):
    """A driver killed with SIGKILL leaves its finished trials done; the next run does the others."""
    (tmp_path / "slow_trial.py").write_text(
        textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from farfield.study import Store, Trial, run

            def slow(point, seed):
                time.sleep(0.2)
                return {"value": point["x"]}

            if __name__ == "__main__":
                store = Store.in_folder(Path(sys.argv[1]))
                for outcome in run(slow, [Trial("demo", {"x": i}, 0) for i in range(12)], store, workers=1):
                    print(int(outcome.kept), flush=True)
            """
        )
    )
    command = [sys.executable, str(tmp_path / "slow_trial.py"), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        for _ in range(3):
            driver.stdout.readline()
        driver.kill()
    rest = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(rest) == 12 and rest.count("1") >= 3


@pytest.mark.parametrize(
    "other",
    [
        Trial("demo", {"x": 2}, 0),
        Trial("demo", {"x": 1}, 1),
        Trial("other", {"x": 1}, 0),
        Trial("demo", {"x": 1}, 0, {"data": "changed"}),
    ],
)
def test_key_changes_with_everything_that_identifies_a_trial(other):
    assert other.key != Trial("demo", {"x": 1}, 0).key


def test_key_does_not_depend_on_the_order_of_a_point():
    assert Trial("demo", {"a": 1, "b": 2}, 0).key == Trial("demo", {"b": 2, "a": 1}, 0).key


def test_bad_input(store):
    with pytest.raises(InputError, match="workers is 0"):
        list(run(double, [], store, workers=0))
    with pytest.raises(InputError, match="cannot be opened"):
        Store("nosuchdatabase://here")
