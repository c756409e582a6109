"""Finished trials mirrored to MLflow or Weights & Biases: the store stays the one truth, this is a view for a team's tools.

Where to is said in their own way: ``$MLFLOW_TRACKING_URI``; ``wandb login``, ``$WANDB_MODE``, ``$WANDB_ENTITY``. What is
mirrored already is left alone, so that a run which goes on after an interruption mirrors the rest.
"""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from farfield.errors import InputError, MissingExtra
from farfield.study.export import flatten
from farfield.study.run import Outcome

TRACKERS = ("mlflow", "wandb")


class _Tracker(Protocol):
    def has(self, outcome: Outcome) -> bool: ...

    def log(self, outcome: Outcome) -> None: ...


def mirrored(outcomes: Generator[Outcome, None, None], tracker: str, *, study: str) -> Generator[Outcome, None, None]:
    """Yield the outcomes unchanged, each after it was mirrored.

    Where the tracker fails in the middle, a warning says so and the trials go on without it; the same call later mirrors
    those that are missing.

    **Arguments:** ``tracker``: "mlflow" (an experiment ``farfield/<study>``, a run per trial) or "wandb" (a project
    ``farfield-<study>``, a run per trial).

    Raises InputError on another tracker or one that cannot be reached, MissingExtra where it is not installed, both before
    any trial.

    >>> list(mirrored((o for o in ()), "tensorboard", study="demo"))
    Traceback (most recent call last):
    farfield.errors.InputError: the tracker is 'tensorboard'; it must be mlflow or wandb
    """
    if tracker not in TRACKERS:
        raise InputError(f"the tracker is {tracker!r}; it must be {' or '.join(TRACKERS)}")
    return _mirror(outcomes, _MLflow(study) if tracker == "mlflow" else _Wandb(study), tracker)


def _mirror(outcomes: Generator[Outcome, None, None], tracker: _Tracker, name: str) -> Generator[Outcome, None, None]:
    works = True
    with closing(outcomes):
        for outcome in outcomes:
            if works and not tracker.has(outcome):
                try:
                    tracker.log(outcome)
                # Whatever a tracker's client raises: days of trials do not end because a dashboard is away.
                except Exception as error:
                    works = False
                    warnings.warn(
                        f"mirroring to {name} stopped at trial {outcome.trial.key}: {type(error).__name__}: {error}; the "
                        "trials go on, and the same command later mirrors the rest",
                        RuntimeWarning,
                        stacklevel=2,
                    )
            yield outcome


class _MLflow:
    def __init__(self, study: str):
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise MissingExtra("mlflow", extra="track", needed_by="--track mlflow") from error
        from mlflow.exceptions import MlflowException

        name = f"farfield/{study}"
        try:
            self._client = MlflowClient()
            found = self._client.get_experiment_by_name(name)
            self._experiment = found.experiment_id if found else self._client.create_experiment(name)
            # By trial: the run that mirrors it, and how that run ended. One killed in the middle still "runs".
            self._runs = {run.data.tags.get("farfield.key", ""): run.info for run in self._all_runs()}
        except MlflowException as error:
            raise InputError(f"MLflow cannot be used: {str(error).splitlines()[0]}") from error

    def _all_runs(self) -> Iterator[Any]:
        page = self._client.search_runs([self._experiment], max_results=1000, order_by=["attributes.start_time"])
        while True:
            yield from page
            if not page.token:
                return
            page = self._client.search_runs(
                [self._experiment], max_results=1000, order_by=["attributes.start_time"], page_token=page.token
            )

    def has(self, outcome: Outcome) -> bool:
        run = self._runs.get(outcome.trial.key)
        return run is not None and run.status == _status(outcome)

    def log(self, outcome: Outcome) -> None:
        from mlflow.entities import Metric, Param

        trial, now = outcome.trial, int(1000 * time.time())
        run = self._runs.get(trial.key)
        if run is None or run.status != "RUNNING":
            began = now - int(1000 * outcome.seconds)
            tags = {"farfield.key": trial.key, "farfield.study": trial.study}
            name = f"{trial.key[:8]} seed {trial.seed}"
            run = self._client.create_run(self._experiment, start_time=began, tags=tags, run_name=name).info
        parameters = {"seed": trial.seed, **flatten(trial.point)}
        params = [Param(k, str(v)[:6000]) for k, v in _allowed(parameters).items()]
        metrics = [Metric(k, v, now, 0) for k, v in _allowed(_numbers(outcome)).items()]
        # MLflow takes at most 100 parameters and 1,000 metrics at a time.
        for i in range(0, len(params), 100):
            self._client.log_batch(run.run_id, params=params[i : i + 100])
        for i in range(0, len(metrics), 1000):
            self._client.log_batch(run.run_id, metrics=metrics[i : i + 1000])
        if outcome.error is not None:
            self._client.set_tag(run.run_id, "farfield.error", outcome.error[:5000])
        if outcome.result is not None:
            self._client.log_text(run.run_id, _as_json(outcome), "result.json")
        self._client.set_terminated(run.run_id, _status(outcome), end_time=now)


class _Wandb:
    def __init__(self, study: str):
        try:
            import wandb
        except ImportError as error:
            raise MissingExtra("wandb", extra="track", needed_by="--track wandb") from error
        self._wandb, self._project = wandb, f"farfield-{study}"
        try:
            self._known = set(self._mirrored_before())
        except wandb.Error as error:
            raise InputError(f"Weights & Biases cannot be used: {str(error).splitlines()[0]}") from error

    def _mirrored_before(self) -> Iterable[str]:
        """Return the ids of the runs made before: of those on this disk where offline, else of the server's."""
        settings = self._wandb.setup().settings
        if settings.mode in ("offline", "dryrun"):
            folder = Path(settings.wandb_dir)
            return [path.name.rpartition("-")[2] for path in folder.glob("offline-run-*")]
        try:
            return [run.id for run in self._wandb.Api().runs(self._project) if run.state in ("finished", "failed")]
        except ValueError:
            # How its client says that there is no such project yet.
            return []

    def has(self, outcome: Outcome) -> bool:
        return _wandb_id(outcome) in self._known

    def log(self, outcome: Outcome) -> None:
        trial = outcome.trial
        run = self._wandb.init(
            project=self._project,
            id=_wandb_id(outcome),
            name=f"{trial.key[:8]} seed {trial.seed}",
            config={"seed": trial.seed, "point": dict(trial.point), "key": trial.key},
            notes=outcome.error,
            resume="allow",
            # A run of its own, not the one that the user's script may have open.
            reinit="create_new",
            settings=self._wandb.Settings(silent=True),
        )
        run.summary.update(_numbers(outcome))
        if outcome.result is not None:
            run.summary["result"] = _as_json(outcome)
        run.finish(exit_code=0 if outcome.error is None else 1)


def _wandb_id(outcome: Outcome) -> str:
    # A trial that failed and later was done is another run.
    return outcome.trial.key + ("f" if outcome.error is not None else "")


def _status(outcome: Outcome) -> str:
    return "FINISHED" if outcome.error is None else "FAILED"


def _numbers(outcome: Outcome) -> dict[str, float]:
    flat = {"seconds": outcome.seconds, **flatten(outcome.result or {}, "result")}
    return {k: float(v) for k, v in flat.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def _as_json(outcome: Outcome) -> str:
    return json.dumps(outcome.result, default=lambda array: array.location)


def _allowed(entries: dict[str, Any]) -> dict[str, Any]:
    """Write names with the letters that MLflow allows; two that become the same are numbered.

    >>> _allowed({"rotation 75°": 1, "rotation 75%": 2})
    {'rotation 75_': 1, 'rotation 75_ 2': 2}
    """
    allowed: dict[str, Any] = {}
    for key, value in entries.items():
        name = base = re.sub(r"[^\w.\- /]", "_", key)[:240]
        number = 1
        while name in allowed:
            number += 1
            name = f"{base} {number}"
        allowed[name] = value
    return allowed
