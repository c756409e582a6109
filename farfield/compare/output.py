"""What a comparison leaves in its folder: results.json, results.csv, trials.csv and report.html."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farfield import methods
from farfield.compare import report
from farfield.compare.evaluate import MOST_CLASSES_IN_CONFUSION
from farfield.compare.leaderboard import by_task, leaderboard
from farfield.files import write_atomically
from farfield.study.results import judge

if TYPE_CHECKING:
    from farfield.compare.job import Comparison, Plan
    from farfield.study import Outcome
    from farfield.tasks.task import Task


def collect(
    plan: Plan,
    outcomes: Sequence[Outcome],
    *,
    where: Mapping[str, Any],
    workers: int | None,
    command: str | None,
    seconds: float,
) -> dict[str, Any]:
    """Return everything that results.json holds, plain data, from a plan and the outcomes of its trials."""
    trials = [_trial_entry(outcome) for outcome in outcomes]
    names = plan.settings["methods"]
    board = leaderboard(trials, methods=names, baseline=plan.settings["baseline"])
    for row in board:
        found = methods.load(row["method"])
        row |= {"summary": found.summary, "source": found.source}
    return {
        "command": command or f"farfield.compare.compare({plan.data!r}, ...)",
        "version": where["version"],
        "commit": where["commit"],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
        "machine": where["machine"],
        "settings": {**plan.settings, "workers": workers},
        "notes": list(plan.notes),
        "tasks": [_task_entry(task) for task in plan.tasks],
        "leaderboard": board,
        "claims": judge(plan.study, plan.study.records(outcomes)),
        "by_task": by_task(trials, methods=names),
        "trials": trials,
        "confusion": _confusions(plan, outcomes),
    }


def write(comparison: Comparison, folder: Path) -> None:
    """Write results.json, results.csv (the leaderboard), trials.csv and report.html, each whole or not at all."""
    write_atomically(folder / "results.json", json.dumps(comparison.results, indent=1, allow_nan=False))
    write_atomically(folder / "results.csv", comparison.leaderboard.to_csv(index=False))
    write_atomically(folder / "trials.csv", comparison.trials.to_csv(index=False))
    report.write(comparison.results, folder / "report.html")


def _task_entry(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "inputs": str(task.inputs),
        "classes": list(task.outputs.names),
        "rows": {"train": len(task.train), "val": len(task.val)},
        "domains": list(task.domains),
        "tests": {name: len(split) for name, split in task.tests.items()},
        "severity": dict(task.severity),
        "notes": list(task.notes),
        "fingerprint": task.fingerprint,
    }


def _trial_entry(outcome: Outcome) -> dict[str, Any]:
    point, result = outcome.trial.point, outcome.result or {}
    return {
        "key": outcome.trial.key,
        "task": point["task"],
        "method": point["method"],
        "seed": outcome.trial.seed,
        "state": "failed" if outcome.result is None else "done",
        "error": outcome.error,
        "seconds": result.get("seconds", outcome.seconds),
        "accuracy": result.get("accuracy", {}),
        "domains": result.get("domains", {}),
        **{name: result.get(name) for name in ("validation", "chosen", "step", "candidates", "curve")},
    }


def _confusions(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, dict[str, dict[str, list[list[int]]]]]:
    """Return confusion counts by task, method and test, summed over seeds."""
    import numpy as np

    small = {task.name for task in plan.tasks if task.outputs.count <= MOST_CLASSES_IN_CONFUSION}
    sums: dict[str, dict[str, dict[str, Any]]] = {}
    for outcome in outcomes:
        point = outcome.trial.point
        if outcome.result is None or point["task"] not in small:
            continue
        place = sums.setdefault(point["task"], {}).setdefault(point["method"], {})
        for test, counts in outcome.result["confusion"].items():
            place[test] = place.get(test, 0) + np.asarray(counts)
    return {
        task: {m: {test: c.tolist() for test, c in tests.items()} for m, tests in by_method.items()}
        for task, by_method in sums.items()
    }
