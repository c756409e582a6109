"""From trials to a ranking: means over tasks, intervals over seeds, differences from a baseline paired by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Interval = dict[str, float | None]


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return mean and Student t interval of independent values, one per seed; no interval from a single value.

    The t interval is exact for normal values at any number of seeds; with few seeds it is wide, as it should be.

    >>> interval([0.5, 0.7])["mean"], interval([0.5])["low"]
    (0.6, None)
    """
    from scipy import stats

    x = np.asarray(values, dtype=float)
    mean = float(x.mean())
    if len(x) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def leaderboard(trials: Sequence[Mapping[str, Any]], *, methods: Sequence[str], baseline: str) -> list[dict[str, Any]]:
    """Return one row per method, best far accuracy first.

    Each seed gives one number per method: its mean over tasks (and over a task's far tests). A seed counts only where the
    method finished every task with it; otherwise means over different tasks would be compared. ``worst`` is the far test
    with the lowest mean accuracy over these seeds. ``difference`` is far accuracy minus the baseline's over the seeds
    that both have; seeds share split, initial weights and batches, so the pairs cancel what they have in common.

    **Arguments:** ``trials``: as in results.json, each with ``task``, ``method``, ``seed``, ``state``, ``accuracy``,
    ``seconds``.

    >>> rows = [{"task": "t", "method": m, "seed": s, "state": "done", "seconds": 1.0,
    ...          "accuracy": {"iid": 0.9, "far": 0.5 + 0.1 * (m == "sam") + 0.01 * s}} for m in ("erm", "sam") for s in (0, 1)]
    >>> board = leaderboard(rows, methods=["erm", "sam"], baseline="erm")
    >>> board[0]["method"], round(board[0]["difference"]["mean"], 6)
    ('sam', 0.1)
    """
    tasks = sorted({t["task"] for t in trials})
    near = {m: _by_seed(trials, m, tasks, lambda a: a["iid"]) for m in methods}
    far = {m: _by_seed(trials, m, tasks, _far) for m in methods}
    rows = []
    for m in methods:
        own = [t for t in trials if t["method"] == m]
        done = [t for t in own if t["state"] == "done"]
        shared = sorted(far[m].keys() & far.get(baseline, {}).keys())
        rows.append(
            {
                "method": m,
                "trials_done": len(done),
                "trials_failed": sum(t["state"] == "failed" for t in own),
                "seeds": len(far[m]),
                "near": _interval_or_none(list(near[m].values())),
                "far": _interval_or_none(list(far[m].values())),
                "worst": _worst(done, list(far[m])),
                "difference": None
                if m == baseline
                else _interval_or_none([far[m][s] - far[baseline][s] for s in shared]),
                "seconds": float(np.mean([t["seconds"] for t in done])) if done else None,
            }
        )
    return sorted(rows, key=lambda r: -(r["far"]["mean"] if r["far"] else -1))


def by_task(trials: Sequence[Mapping[str, Any]], *, methods: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per task and method: near, far, every test and every training domain, with intervals over seeds.

    >>> by_task([{"task": "t", "method": "erm", "seed": 0, "state": "done", "accuracy": {"iid": 0.9, "s": 0.5},
    ...           "domains": {"a": 0.9}}], methods=["erm"])[0]["tests"]["s"]["mean"]
    0.5
    """
    rows = []
    for task in dict.fromkeys(t["task"] for t in trials):
        for m in methods:
            done = [t for t in trials if t["task"] == task and t["method"] == m and t["state"] == "done"]
            if not done:
                continue
            rows.append(
                {
                    "task": task,
                    "method": m,
                    "near": interval([t["accuracy"]["iid"] for t in done]),
                    "far": interval([_far(t["accuracy"]) for t in done]),
                    "tests": {k: interval([t["accuracy"][k] for t in done]) for k in done[0]["accuracy"]},
                    # A small near test may lack a domain in some seed.
                    "domains": {
                        k: interval([t["domains"][k] for t in done if k in t["domains"]]) for k in done[0]["domains"]
                    },
                }
            )
    return rows


def _far(accuracy: Mapping[str, float]) -> float:
    return float(np.mean([v for k, v in accuracy.items() if k != "iid"]))


def _by_seed(
    trials: Sequence[Mapping[str, Any]],
    method: str,
    tasks: Sequence[str],
    value: Callable[[Mapping[str, float]], float],
) -> dict[int, float]:
    """Return, for each seed with which the method finished every task, the mean over tasks."""
    found: dict[int, dict[str, float]] = {}
    for t in trials:
        if t["method"] == method and t["state"] == "done":
            found.setdefault(t["seed"], {})[t["task"]] = value(t["accuracy"])
    return {s: float(np.mean(list(v.values()))) for s, v in sorted(found.items()) if len(v) == len(tasks)}


def _worst(done: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> dict[str, Any] | None:
    places: dict[tuple[str, str], list[float]] = {}
    for t in done:
        if t["seed"] in seeds:
            for test, value in t["accuracy"].items():
                if test != "iid":
                    places.setdefault((t["task"], test), []).append(value)
    if not places:
        return None
    (task, test), values = min(places.items(), key=lambda item: np.mean(item[1]))
    return {**interval(values), "domain": test, "task": task}


def _interval_or_none(values: Sequence[float]) -> Interval | None:
    return interval(values) if values else None
