"""The ranking's arithmetic, against hand computation and simulation."""

import numpy as np
import pytest
from scipy import stats

from farfield.compare.leaderboard import by_task, interval, leaderboard


def entry(task, method, seed, iid=0.9, state="done", **far):
    accuracy = {"iid": iid, **far} if state == "done" else {}
    return {
        "task": task,
        "method": method,
        "seed": seed,
        "state": state,
        "seconds": 1.0 + seed,
        "accuracy": accuracy,
        "domains": {"a": iid} if state == "done" else {},
    }


def test_interval_is_students():
    values = [0.6, 0.7, 0.65]
    expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    found = interval(values)
    assert (found["low"], found["high"]) == pytest.approx(expected)
    assert interval([0.6]) == {"mean": 0.6, "low": None, "high": None}


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = sum(i["low"] <= 0 <= i["high"] for i in (interval(x) for x in rng.normal(size=(2000, 4))))
    # Four standard errors of a share of 0.95 in 2,000 draws are 0.0195.
    assert abs(hits / 2000 - 0.95) < 0.02


def test_means_over_tasks_then_intervals_over_seeds():
    trials = [
        *(entry("t1", "erm", s, x=0.5 + 0.1 * s, y=0.7) for s in range(2)),
        *(entry("t2", "erm", s, z=0.8) for s in range(2)),
        *(entry("t1", "sam", s, x=0.6 + 0.1 * s, y=0.7) for s in range(2)),
        *(entry("t2", "sam", s, z=0.8 + 0.02 * s) for s in range(2)),
    ]
    board = {row["method"]: row for row in leaderboard(trials, methods=["erm", "sam"], baseline="erm")}
    # By seed: erm ((.5+.7)/2 + .8)/2 = .7 and ((.6+.7)/2 + .8)/2 = .725; sam .725 and .76.
    assert board["erm"]["far"]["mean"] == pytest.approx(0.7125)
    assert board["sam"]["far"]["mean"] == pytest.approx(0.7425)
    assert board["sam"]["difference"] == pytest.approx(interval([0.025, 0.035]))
    assert board["erm"]["difference"] is None
    assert board["erm"]["worst"]["domain"] == "x" and board["erm"]["worst"]["mean"] == pytest.approx(0.55)
    assert board["erm"]["seconds"] == pytest.approx(1.5)
    assert [row["method"] for row in leaderboard(trials, methods=["erm", "sam"], baseline="erm")] == ["sam", "erm"]


def test_a_seed_without_every_task_does_not_count():
    trials = [
        entry("easy", "erm", 0, x=0.9),
        entry("hard", "erm", 0, x=0.3),
        entry("easy", "erm", 1, x=0.9),
        entry("hard", "erm", 1, state="failed"),
    ]
    (row,) = leaderboard(trials, methods=["erm"], baseline="erm")
    assert row["far"]["mean"] == pytest.approx(0.6)  # with seed 1's easy task alone it would rise
    assert (row["trials_done"], row["trials_failed"], row["seeds"]) == (3, 1, 1)


def test_a_method_that_never_finishes_a_task_has_no_rank():
    trials = [entry("t", "erm", 0, x=0.9), entry("t", "irm", 0, state="failed")]
    board = leaderboard(trials, methods=["irm", "erm"], baseline="erm")
    assert [row["method"] for row in board] == ["erm", "irm"]
    assert board[1]["far"] is None and board[1]["worst"] is None and board[1]["difference"] is None


def test_differences_use_only_seeds_that_both_have():
    trials = [
        entry("t", "erm", 0, x=0.5),
        entry("t", "erm", 1, state="failed"),
        entry("t", "sam", 0, x=0.6),
        entry("t", "sam", 1, x=0.9),
    ]
    sam = leaderboard(trials, methods=["erm", "sam"], baseline="erm")[0]
    assert sam["difference"]["mean"] == pytest.approx(0.1)


def test_by_task_keeps_tests_and_training_domains_apart():
    rows = by_task([entry("t", "erm", s, x=0.5 + 0.2 * s, y=0.1) for s in range(2)], methods=["erm", "sam"])
    assert len(rows) == 1
    assert rows[0]["tests"]["x"]["mean"] == pytest.approx(0.6)
    assert rows[0]["far"]["mean"] == pytest.approx(0.35)
    assert rows[0]["domains"]["a"]["mean"] == pytest.approx(0.9)
