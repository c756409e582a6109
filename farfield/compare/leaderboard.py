"""From trials to a ranking: means over tasks, intervals over seeds, and for each method the claim that it beats the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.claims import Claim, by_seed, greater, mean_interval

if TYPE_CHECKING:
    import pandas as pd

Interval = dict[str, float | None]


def interval(values: Sequence[float]) -> Interval:
    """Return mean and 95 % Student t interval of independent values, one per seed; no interval from a single value.

    >>> interval([0.5, 0.7])["mean"], interval([0.5])["low"]
    (0.6, None)
    """
    if len(values) < 2:
        return {"mean": float(np.mean(values)), "low": None, "high": None}
    return dict(zip(("mean", "low", "high"), mean_interval(values)))


def better(method: str, baseline: str) -> Claim:
    """Return the claim that a leaderboard makes of a method: its far accuracy is above the baseline's, paired by seed.

    >>> better("sam", "erm").relation
    'far: sam > erm'
    """
    return greater(
        method,
        than=baseline,
        metric="far",
        along="method",
        says=f"{method} holds up better than {baseline} outside the training data.",
        reported="",
    )


def leaderboard(trials: Sequence[Mapping[str, Any]], *, methods: Sequence[str], baseline: str) -> list[dict[str, Any]]:
    """Return one row per method, best far accuracy first.

    Each seed gives one number per method: its mean over tasks (and over a task's far tests). A seed counts only where the
    method finished every task with it; otherwise means over different tasks would be compared. ``worst`` is the far test
    with the lowest mean accuracy over these seeds. ``difference`` is the effect of the claim `better`: far accuracy minus the
    baseline's over the seeds that both have; seeds share split, initial weights and batches, so the pairs cancel what they
    have in common.

    **Arguments:** ``trials``: as in results.json, each with ``task``, ``method``, ``seed``, ``state``, ``accuracy``,
    ``seconds``.

    >>> rows = [{"task": "t", "method": m, "seed": s, "state": "done", "seconds": 1.0,
    ...          "accuracy": {"iid": 0.9, "far": 0.5 + 0.1 * (m == "sam") + 0.01 * s}} for m in ("erm", "sam") for s in (0, 1)]
    >>> board = leaderboard(rows, methods=["erm", "sam"], baseline="erm")
    >>> board[0]["method"], round(board[0]["difference"]["mean"], 6)
    ('sam', 0.1)
    """
    records = _records(trials)
    rows = []
    for m in methods:
        own = [t for t in trials if t["method"] == m]
        done = [t for t in own if t["state"] == "done"]
        far = by_seed(records, "far", "method", [m])
        judged = better(m, baseline).judge(records) if m != baseline else None
        rows.append(
            {
                "method": m,
                "trials_done": len(done),
                "trials_failed": sum(t["state"] == "failed" for t in own),
                "seeds": len(far),
                "near": _interval_or_none(by_seed(records, "near", "method", [m])),
                "far": _interval_or_none(far),
                "worst": _worst(done, list(far.index)),
                "difference": None
                if judged is None or judged.effect is None
                else {"mean": judged.effect, "low": judged.interval[0], "high": judged.interval[1]},
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


def _records(trials: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return near and far accuracy by task, method and seed, as claims read them; nothing where no method did some task."""
    import pandas as pd

    done = [t for t in trials if t["state"] == "done"]
    # Tasks by number: a file's name may hold what a column of text cannot.
    number = {task: i for i, task in enumerate(dict.fromkeys(t["task"] for t in trials))}
    everywhere = {t["task"] for t in done} == number.keys()
    rows = [
        (number[t["task"]], t["method"], t["seed"], t["accuracy"]["iid"], _far(t["accuracy"]))
        for t in (done if everywhere else [])
    ]
    records = pd.DataFrame(rows, columns=["task", "method", "seed", "near", "far"])
    records.attrs["axes"] = ["task", "method"]
    return records


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


def _interval_or_none(table: pd.DataFrame) -> Interval | None:
    return interval(table.iloc[:, 0].tolist()) if len(table) else None
