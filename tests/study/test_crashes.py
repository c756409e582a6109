"""Drivers and workers killed in the middle: nothing is lost, nothing is done twice, nobody goes on alone."""

import functools
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter

import psutil
import pytest

from farfield.study import Store, Trial

DRIVER = """
import os, sys, time
from farfield.study import Store, Trial, run

def work(point, seed):
    with open(point["log"], "a") as log:
        log.write(f"{point['x']} {os.getpid()} begin\\n")
    time.sleep(point["seconds"])
    with open(point["log"], "a") as log:
        log.write(f"{point['x']} {os.getpid()} end\\n")
    return {"value": 2 * point["x"]}

def trials(log, n, seconds):
    return [Trial("crash", {"log": log, "x": x, "seconds": seconds}, 0) for x in range(n)]

if __name__ == "__main__":
    url, log, n, seconds, workers = sys.argv[1:]
    store = Store(url)
    for outcome in run(work, trials(log, int(n), float(seconds)), store, workers=int(workers)):
        print(outcome.trial.point["x"], int(outcome.kept), outcome.result["value"], flush=True)
    store.close()
"""


@pytest.fixture
def driver(tmp_path, url):
    """Start a driver on the store: `driver(n, seconds, workers)`; what its trials do is appended to a log."""
    script, log = tmp_path / "driver.py", tmp_path / "log"
    script.write_text(textwrap.dedent(DRIVER))
    started = []

    def start(n, seconds, workers):
        command = [sys.executable, script, url, log, n, seconds, workers]
        # A suite that runs in the background of a shell ignores Ctrl-C, and its children would inherit that.
        attend = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        started.append(subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, preexec_fn=attend))
        return started[-1]

    start.log = log
    start.trials = lambda n, seconds: [
        Trial("crash", {"log": str(log), "x": x, "seconds": seconds}, 0) for x in range(n)
    ]
    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def lines(log):
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def wait_for_a_line(log, after, timeout=60):
    """Look again and again until the log has more lines than ``after``. Raises TimeoutError where it never has."""
    end = time.monotonic() + timeout
    while len(lines(log)) <= after:
        if time.monotonic() > end:
            raise TimeoutError(f"no new line within {timeout} s")
        time.sleep(0.005)


def children(pid):
    return {p.pid for p in psutil.Process(pid).children(recursive=True)}


def test_twenty_kills_at_random_moments_lose_nothing_and_repeat_nothing(driver, url):
    n, seconds = 240, 0.03
    todo = driver.trials(n, seconds)
    moments = random.Random(0)
    done_before, begun_before = set(), 0
    for kill in range(20):
        written = len(lines(driver.log))
        process = driver(n, seconds, 1 + kill % 3 // 2)
        # From its start (the interpreter loads) to the middle of its trials: every second time at any moment, in between after
        # it has begun a trial, which a busy machine may put off.
        if kill % 2:
            wait_for_a_line(driver.log, after=written)
        time.sleep(moments.uniform(0.0, 0.4) if kill % 2 else moments.uniform(0.05, 0.8))
        process.kill()
        process.wait()
        store = Store(url)
        records = store.get(t.key for t in todo)
        store.close()
        done = {r.point["x"] for r in records.values() if r.state == "done"}
        assert not any(r.state == "failed" for r in records.values())
        assert done_before <= done
        # Nothing that was recorded as done was ever begun again.
        begun = [int(x) for x, _, what in lines(driver.log) if what == "begin"]
        assert not done_before & set(begun[begun_before:])
        done_before, begun_before = done, len(begun)
        time.sleep(0.02)
    assert 0 < len(done_before) < n, "the kills fell before any trial, or after all of them"
    last = driver(n, seconds, 1)
    out = [line.split() for line in last.communicate(timeout=60)[0].splitlines()]
    assert last.returncode == 0
    assert sorted(int(x) for x, *_ in out) == list(range(n))
    assert {int(x) for x, kept, _ in out if kept == "1"} == done_before
    store = Store(url)
    records = [r for r in store.get(t.key for t in todo).values()]
    store.close()
    assert len(records) == n
    assert all(r.state == "done" and r.result == {"value": 2 * r.point["x"]} for r in records)
    # Every begin is accounted for: a trial was begun as often as it was claimed, or killed before its first line.
    begun = Counter(int(x) for x, _, what in lines(driver.log) if what == "begin")
    assert all(1 <= begun[r.point["x"]] <= r.attempts for r in records)


def test_two_drivers_at_once_share_the_trials(driver, url):
    n = 60
    both = [driver(n, 0.03, 1), driver(n, 0.03, 2)]
    outs = [[line.split() for line in p.communicate(timeout=60)[0].splitlines()] for p in both]
    for process, out in zip(both, outs):
        assert process.returncode == 0
        # Each yields every outcome, its own and the other's.
        assert sorted((int(x), int(value)) for x, _, value in out) == [(x, 2 * x) for x in range(n)]
    own = [{int(x) for x, kept, _ in out if kept == "0"} for out in outs]
    assert own[0] | own[1] == set(range(n)) and not own[0] & own[1]
    assert own[0] and own[1]
    assert Counter(x for x, _, what in lines(driver.log) if what == "begin") == Counter(str(x) for x in range(n))


def test_a_driver_takes_over_from_one_that_is_killed_beside_it(driver, url):
    n = 40
    first, second = driver(n, 0.05, 1), driver(n, 0.05, 1)
    second.stdout.readline()
    while not any(pid == str(first.pid) for _, pid, _ in lines(driver.log)):
        time.sleep(0.01)
    first.kill()
    # Not by communicate, which loses lines that came together with the first one.
    out = second.stdout.read().splitlines()
    assert second.wait(timeout=60) == 0
    # The first line was read above.
    assert len(out) == n - 1
    store = Store(url)
    assert [r.state for r in store.records()] == ["done"] * n
    store.close()


def test_workers_end_with_their_driver(driver):
    process = driver(4, 60, 2)
    give_up = time.monotonic() + 30
    while len(lines(driver.log)) < 2:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    workers = {int(pid) for _, pid, _ in lines(driver.log)}
    assert len(workers) == 2 and workers <= children(process.pid)
    process.kill()
    process.wait()
    give_up = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in workers):
        assert time.monotonic() < give_up, "a worker goes on without its driver"
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_gives_the_trials_back_at_once(driver, url, workers):
    process = driver(4, 60, workers)
    give_up = time.monotonic() + 30
    while len(lines(driver.log)) < workers:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    store = Store(url)
    assert store.records() == []
    store.close()
