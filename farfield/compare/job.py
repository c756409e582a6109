"""The main job: which method holds up outside the training data? Methods x tasks x seeds, ranked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farfield import methods, nn, provenance, tasks
from farfield.compare import selection
from farfield.compare.leaderboard import better
from farfield.compare.trial import default_steps, trial
from farfield.errors import InputError
from farfield.study import Outcome, Trial
from farfield.study.execute import carry_out, default_workers
from farfield.study.study import Preset, Study
from farfield.tasks.task import Task

if TYPE_CHECKING:
    import pandas

BASELINE = "erm"


@dataclass(frozen=True)
class Plan:
    """All that a comparison will run, checked before any training: names resolved, data read, the model tried on it."""

    data: str
    tasks: tuple[Task, ...]
    model: str
    methods: tuple[str, ...]
    study: Study
    trials: tuple[Trial, ...]
    settings: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What the user must see before it runs: of the plan, and of each task."""
        return (*self.notes, *(note for task in self.tasks for note in task.notes))


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: ``results`` is what results.json holds.

    >>> Comparison({"leaderboard": [{"method": "erm", "near": None, "far": {"mean": 0.5, "low": None, "high": None},
    ...     "worst": None, "difference": None, "seconds": 1.0, "trials_done": 1, "trials_failed": 0}]}).leaderboard["far"].item()
    0.5
    """

    results: dict[str, Any]

    @property
    def leaderboard(self) -> pandas.DataFrame:
        """One row per method: accuracies in [0, 1] with the ends of their 95 % intervals, best far accuracy first."""
        import pandas as pd

        rows = []
        for entry in self.results["leaderboard"]:
            row = {"method": entry["method"]}
            for what in ("near", "far", "worst", "difference"):
                value = entry[what] or {}
                row |= {what: value.get("mean"), f"{what}_low": value.get("low"), f"{what}_high": value.get("high")}
                if what == "worst":
                    row |= {"worst_domain": value.get("domain"), "worst_task": value.get("task")}
            row |= {k: entry[k] for k in ("seconds", "trials_done", "trials_failed")}
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def trials(self) -> pandas.DataFrame:
        """One row per trial and test: task, method, seed, test, accuracy in [0, 1], and how the trial ended."""
        import pandas as pd

        rows = []
        for t in self.results["trials"]:
            shared = {k: t[k] for k in ("task", "method", "seed", "state", "seconds", "validation", "step", "error")}
            for test, accuracy in (t["accuracy"] or {None: None}).items():
                rows.append({**shared, "test": test, "accuracy": accuracy})
        return pd.DataFrame(rows)


def plan(
    data: str,
    *,
    methods: Sequence[str] | str = "all",
    model: str | None = None,
    seeds: int = 5,
    steps: int | None = None,
    batch_size: int = 64,
    selection: str = "iid",
    trials: int = 1,
    device: str = "cpu",
) -> Plan:
    """Resolve every name, read the data and check that everything fits, without training anything.

    Raises InputError, with one sentence, on the first thing that does not fit. Arguments as `compare`.

    >>> [t.seed for t in plan("digits/rotation", methods=["erm"], model="linear", seeds=2).trials]
    [0, 1]
    """
    for name, value in (("seeds", seeds), ("batch_size", batch_size), ("trials", trials), ("steps", steps)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    data = tasks.resolve(data)
    loaded = [tasks.load(name) for name in tasks.expand(data)]
    for task in loaded:
        if not task.far:
            raise InputError(
                f"the task {task.name} has no test outside its training domains: there is nothing to compare"
            )
    model = model or nn.default(loaded[0])
    checked: set[tuple] = set()
    for task in loaded:
        if (task.inputs, task.outputs) not in checked:
            nn.load(model, nn.prepare(model, task))
            checked.add((task.inputs, task.outputs))
    names, notes = _choose_methods(methods, loaded, selection)
    _check_device(device)

    made = study(
        [task.name for task in loaded],
        names,
        seeds=seeds,
        settings={
            "model": model,
            "steps": steps,
            "batch_size": batch_size,
            "selection": selection,
            "trials": trials,
            "device": device,
        },
    )
    grid = made.trials(sources={task.name: task.fingerprint for task in loaded})
    budget = {t.name: steps or default_steps(len(t.train), batch_size) for t in loaded}
    settings = {
        "data": data,
        "model": model,
        "methods": list(names),
        "seeds": seeds,
        "steps": next(iter(budget.values())) if len(set(budget.values())) == 1 else budget,
        "batch_size": batch_size,
        "selection": selection,
        "trials": trials,
        "device": device,
        "baseline": BASELINE,
    }
    return Plan(data, tuple(loaded), model, names, made, tuple(grid), settings, notes)


def study(task_names: Sequence[str], names: Sequence[str], *, seeds: int, settings: Mapping[str, Any]) -> Study:
    """Return a comparison as a study made on the fly: tasks x methods, and of each method the claim that it beats the baseline.

    >>> made = study(["digits/rotation"], ["erm", "sam"], seeds=2, settings={"model": "linear"})
    >>> len(made.trials()), made.claims[0].says
    (4, 'sam holds up better than erm outside the training data.')
    """
    return Study(
        paper="compare",
        question="Which method holds up outside the training data?",
        trial=trial,
        grid={"task": tuple(task_names), "method": tuple(names)},
        presets={"small": Preset(seeds, settings=settings)},
        claims=[better(name, BASELINE) for name in names if name != BASELINE],
        metrics={"near": "accuracy on the training domains", "far": "mean accuracy elsewhere"},
    )


def compare(
    data: str,
    *,
    methods: Sequence[str] | str = "all",
    model: str | None = None,
    seeds: int = 5,
    steps: int | None = None,
    batch_size: int = 64,
    selection: str = "iid",
    trials: int = 1,
    device: str = "cpu",
    workers: int | None = None,
    out: str | Path = "farfield-compare",
    retry_failed: bool = False,
    store: str | None = None,
    on: str = "local",
    track: str | None = None,
    time_limit: float | None = None,
    command: str | None = None,
    watch: Callable[[Plan, Outcome], None] | None = None,
) -> Comparison:
    """Compare methods on the domains that they were not trained on, and write the results into a folder.

    Trials that the folder holds already are not run again: stopped in the middle, the same call goes on.

    **Arguments:**
    - ``data``: a task name ("digits", "amazon", "csv:shops.csv?target=y&domain=shop"), a file or an image folder. User
      data is tested by leaving out each domain in turn.
    - ``methods``: names, or "all"; ``erm`` is always among them, as the baseline.
    - ``model``: a model name; by default the one for this kind of input (see `farfield.nn.default`).
    - ``seeds``: repetitions, seeds 0..seeds-1; intervals need at least 2.
    - ``steps``: optimizer steps per training; by default 20 epochs, at least 300 and at most 3,000 steps.
    - ``selection``: "iid", "leave-one-domain-out" or "oracle" (see `farfield.compare.selection`).
    - ``trials``: hyper-parameter settings tried per method, task and seed; 1 takes each method's defaults.
    - ``workers``: processes with one torch thread each; by default one per core on the CPU, one on a GPU.
    - ``out``: folder for trials.db, results.json, results.csv (the leaderboard), trials.csv and report.html.
    - ``store``: where trials are kept, in place of ``out``: a file, a folder or a URL (see `farfield.study.Store`).
    - ``on``: "local", or a Ray cluster: "ray", "ray:ADDRESS", "ray://HOST:PORT" (see `farfield.study.run`).
    - ``track``: "mlflow" or "wandb", to mirror finished trials there.
    - ``time_limit``: seconds per trial, above which it fails.
    - ``watch``: called with the plan and each outcome, for progress.

    Raises InputError before any training where something does not fit.

    >>> import tempfile
    >>> found = compare("digits/rotation", methods=["erm"], model="linear", seeds=1, steps=20, workers=1,
    ...                 out=tempfile.mkdtemp())
    >>> found.leaderboard["method"].tolist()
    ['erm']
    """
    start = time.perf_counter()
    work = plan(
        data,
        methods=methods,
        model=model,
        seeds=seeds,
        steps=steps,
        batch_size=batch_size,
        selection=selection,
        trials=trials,
        device=device,
    )
    out = Path(out)
    where = provenance.describe(device)
    outcomes = carry_out(
        work.study,
        work.trials,
        default=out,
        store=store,
        workers=workers,
        on=on,
        track=track,
        time_limit=time_limit,
        retry_failed=retry_failed,
        provenance=where,
        watch=lambda outcome: watch(work, outcome) if watch else None,
    )
    from farfield.compare.output import collect, write

    results = collect(
        work,
        outcomes,
        where=where,
        workers=workers or default_workers(work.trials),
        command=command,
        seconds=time.perf_counter() - start,
    )
    comparison = Comparison(results)
    write(comparison, out)
    return comparison


def _choose_methods(
    wanted: Sequence[str] | str, loaded: Sequence[Task], how: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the method names to run, and notes on those of "all" that cannot run on these tasks."""
    everything = wanted == "all" or list(wanted) == ["all"]
    every = [m.name for m in methods.METHODS.values() if not m.ablation]
    names = every if everything else [wanted] if isinstance(wanted, str) else list(wanted)
    names = list(dict.fromkeys([BASELINE, *names]))
    fewest = min(loaded, key=lambda task: len(task.domains))
    notes, chosen = [], []
    for name in names:
        found = methods.load(name)
        if found.needs_domains and len(fewest.domains) < 2:
            sentence = f"{name} compares training domains, and the task {fewest.name} has one only"
            if not everything:
                raise InputError(f"{sentence}: leave {name} out")
            notes.append(f"{sentence}: it was left out.")
            continue
        unfit = next((task for task in loaded if found.inputs and not isinstance(task.inputs, found.inputs)), None)
        if unfit is not None:
            kinds = " or ".join(kind.__name__.lower() for kind in found.inputs)
            sentence = f"{name} takes inputs of the kind {kinds}, and the task {unfit.name} has {unfit.inputs}"
            if not everything:
                raise InputError(f"{sentence}: leave {name} out")
            notes.append(f"{sentence}: it was left out.")
            continue
        for task in loaded:
            selection.check(how, task, found)
        chosen.append(name)
    return tuple(chosen), tuple(notes)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
