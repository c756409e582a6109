"""Runs a study from its preset to its results, or says without running what it would need."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farfield.errors import InputError, unknown_name
from farfield.names import parse
from farfield.provenance import describe
from farfield.study import results as kept
from farfield.study import stage
from farfield.study.run import Outcome, run
from farfield.study.store import open_store
from farfield.study.study import Study
from farfield.study.track import mirrored
from farfield.study.trial import Trial

PACKAGES = {
    "hf": ("transformers", "datasets", "peft"),
    "vision": ("timm",),
    "search": ("faiss",),
    "ray": ("ray",),
}


@dataclass(frozen=True)
class Finished:
    """A study that was run: its results (plain data), and where the report lies."""

    results: dict[str, Any]
    report: Path


def execute(
    study: Study,
    *,
    preset: str = "small",
    replaced: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | None = None,
    out: str | Path = "results",
    store: str | None = None,
    workers: int | None = None,
    on: str = "local",
    track: str | None = None,
    time_limit: float | None = None,
    retry_failed: bool = False,
    command: str = "",
    watch: Callable[[int, Outcome], None] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Finished:
    """Run the trials of a study that the store does not hold yet, judge its claims, and write results into a folder.

    **Arguments:**
    - ``preset``, ``replaced``, ``seeds``: as `Study.trials`.
    - ``out``: folder for ``<slug>.json``, figures and report.
    - ``store``: where trials are kept, a file, a folder or a URL; by default the folder ``.farfield`` in ``out``.
    - ``workers``: processes with one torch thread each; by default one per core (on a Ray cluster, all its CPUs).
    - ``on``, ``track``, ``time_limit``: as `farfield.compare.compare`.
    - ``provenance``: what is kept with every trial; by default versions, commit and machine.
    - ``watch``: called with the number of trials and each outcome, for progress.

    Raises InputError on a preset, axis or extra that is not there, before anything runs.
    """
    replaced = dict(replaced or {})
    check_extras(study, preset)
    trials = study.trials(preset, replaced, seeds=seeds, sources=_fingerprints(study.axes(preset, replaced)))
    out = Path(out)
    # Workers inherit it, so that all of them share one folder of stages.
    os.environ.setdefault(stage.VARIABLE, str((out / ".farfield" / "stages").resolve()))
    where = provenance or describe()
    start = time.perf_counter()
    outcomes = carry_out(
        study,
        trials,
        default=out / ".farfield",
        store=store,
        workers=workers,
        on=on,
        track=track,
        time_limit=time_limit,
        retry_failed=retry_failed,
        provenance=where,
        watch=lambda outcome: watch(len(trials), outcome) if watch else None,
    )
    # Kept trials count with the seconds they took: a study that was continued reports its whole cost.
    used = workers or default_workers(trials)
    seconds = time.perf_counter() - start + sum(o.seconds for o in outcomes if o.kept) / used
    results, figures = kept.collect(
        study, outcomes, preset=preset, replaced=replaced, where=where, seconds=seconds, command=command
    )
    return Finished(results, kept.write(results, figures, out))


def carry_out(
    study: Study,
    trials: Sequence[Trial],
    *,
    default: Path,
    store: str | None,
    workers: int | None,
    on: str,
    track: str | None,
    time_limit: float | None,
    retry_failed: bool,
    provenance: Mapping[str, Any],
    watch: Callable[[Outcome], None] | None,
) -> list[Outcome]:
    """Run those trials of a study that the store does not hold, and return the outcomes of all, in the order of the trials.

    **Arguments:** as `execute`; ``default``: the folder of the store where none is named.
    """
    if workers is None and on == "local":
        workers = default_workers(trials)
    outcomes = {}
    with closing(open_store(store, default=default)) as opened:
        stream = run(
            study.trial,
            trials,
            opened,
            workers=workers,
            on=on,
            time_limit=time_limit,
            retry_failed=retry_failed,
            provenance=provenance,
        )
        if track is not None:
            stream = mirrored(stream, track, study=study.paper)
        for outcome in stream:
            outcomes[outcome.trial.key] = outcome
            if watch:
                watch(outcome)
    return [outcomes[trial.key] for trial in trials]


def default_workers(trials: Sequence[Trial]) -> int:
    """Return one worker per core, or a single one where a trial wants a GPU: two would share its memory.

    >>> default_workers([Trial("demo", {"device": "cuda"}, 0)])
    1
    """
    return (os.cpu_count() or 1) if all(t.point.get("device", "cpu") == "cpu" for t in trials) else 1


def _fingerprints(axes: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """Return the hashes of the user's own data among the tasks: data that changed are other trials."""
    from farfield import tasks

    own = [name for name in axes.get("task", ()) if parse(name).kind in (*tasks.registry.FILE_KINDS, "module")]
    return {name: tasks.load(name).fingerprint for name in own}


def check_extras(study: Study, preset: str) -> None:
    """Refuse a preset whose extras are not installed. Raises InputError that says what to install."""
    missing = [extra for extra in study.extras.get(preset, ()) if not _installed(extra)]
    if missing:
        raise InputError(
            f"the preset {preset} of {study.paper} needs extras that are not installed: "
            f"pip install 'farfield[{','.join(missing)}]'"
        )


@dataclass(frozen=True)
class Need:
    """Something that a preset names: ``state`` is "here", "download" (it would be fetched when first used) or "missing"."""

    what: str
    name: str
    state: str
    detail: str


def needs(study: Study, preset: str, replaced: Mapping[str, Sequence[Any]] | None = None) -> list[Need]:
    """Return every task, model, method and extra that a preset names, and whether it is here, without running anything."""
    trials = study.trials(preset, replaced, seeds=1)
    found = [
        Need("extra", extra, "here" if _installed(extra) else "missing", f"pip install 'farfield[{extra}]'")
        for extra in study.extras.get(preset, ())
    ]
    for what in ("task", "model", "method"):
        # A setting such as image_models names several.
        lists = [names for t in trials for key, names in t.point.items() if key.endswith(f"_{what}s")]
        single = [t.point[what] for t in trials if what in t.point]
        for name in dict.fromkeys([*single, *(name for names in lists for name in names)]):
            try:
                found.append(_need(what, name))
            except InputError as error:
                found.append(Need(what, name, "missing", str(error)))
    # A setting such as text can be on the hub, too.
    named = {need.name for need in found}
    settings = {v: key for t in trials for key, v in t.point.items() if isinstance(v, str) and v.startswith("hf:")}
    return found + [_hub(key, v, parse(v).path) for v, key in settings.items() if v not in named]


def _need(what: str, name: str) -> Need:
    from farfield import methods, tasks
    from farfield.nn.load import BUILTIN

    parsed = parse(name)
    if what == "method":
        return Need(what, name, "here", methods.load(name).summary)
    if parsed.kind in ("hf", "timm"):
        return _hub(what, name, parsed.path)
    if what == "task":
        # A family whose data is on the hub names it, so that asking does not fetch it.
        for hub in tasks.hub_ids(name):
            if (need := _hub(what, name, hub)).state != "here":
                return need
        task = tasks.load(name)
        rows = sum(len(split) for split in (task.train, task.val, *task.tests.values()))
        return Need(what, name, "here", f"{task.inputs}, {task.outputs}, {rows:,} rows")
    if parsed.kind == "builtin" and parsed.path not in BUILTIN:
        raise unknown_name("model", name, BUILTIN)
    return Need(what, name, "here", "built in" if parsed.kind == "builtin" else "your own")


def _hub(what: str, name: str, path: str) -> Need:
    if Path(path).exists():
        return Need(what, name, "here", "a local folder")
    if importlib.util.find_spec("huggingface_hub") is None:
        return Need(what, name, "missing", "pip install 'farfield[hf]'")
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cached = {repo.repo_id: repo.size_on_disk for repo in scan_cache_dir().repos}
    except CacheNotFound:
        cached = {}
    if path in cached:
        return Need(what, name, "here", f"in the hub's cache, {cached[path] / 1e6:,.0f} MB")
    return Need(what, name, "download", f"from the Hugging Face hub: {path}")


def _installed(extra: str) -> bool:
    return all(importlib.util.find_spec(package) is not None for package in PACKAGES[extra])
