"""A study: a grid of trials, the claims that they test, and the figures that show them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from farfield.errors import InputError, unknown_name
from farfield.names import parse
from farfield.study.claims import Claim
from farfield.study.run import Outcome, TrialFunction
from farfield.study.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

PRESETS = ("smoke", "small", "full")


@dataclass(frozen=True)
class Preset:
    """A size of a study: axes of the grid that differ, settings that every trial gets, and the number of seeds.

    **Fields:** ``grid``: axes in place of the study's; ``settings``: further plain data of every point, or `Per`
    axis; ``seeds``: 0..seeds-1.

    >>> Preset(seeds=2, settings={"steps": 10}).seeds
    2
    """

    seeds: int
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Per:
    """A setting that differs along an axis: ``Per("task", {"xnli": 2e-5}, otherwise=1e-3)``.

    **Fields:** ``axis``; ``values``: value of the axis -> the setting; ``otherwise``: for values that it does not name, such as
    the user's own.

    >>> Per("task", {"xnli": 2e-5}, otherwise=1e-3).at({"task": "mine"})
    0.001
    """

    axis: str
    values: Mapping[Any, Any]
    otherwise: Any

    def at(self, point: Mapping[str, Any]) -> Any:
        """Return the setting of a point."""
        return self.values.get(point[self.axis], self.otherwise)


@dataclass(frozen=True)
class Figure:
    """A figure of a study: ``draw(records)`` returns an SVG string, or None where these records have nothing to draw."""

    name: str
    caption: str
    draw: Callable[[pd.DataFrame], str | None]


@dataclass(frozen=True)
class Study:
    """The whole experiment of a paper, as plain data and functions.

    **Fields:**
    - ``paper``: the slug.
    - ``question``: one sentence, what is asked.
    - ``trial``: ``trial(point, seed) -> dict`` of numbers, curves and small arrays; a function of a module, so that a worker
      process can import it.
    - ``grid``: axis -> values; a point takes one of each.
    - ``presets``: "smoke" (seconds), "small" (minutes, the default) and "full" (the paper's own data and models).
    - ``claims``, ``figures``; ``metrics``: those that the table of results shows, name -> what it is.
    - ``version``: raise it where the trial changes in meaning; earlier trials are then run anew.
    - ``extras``: the extras of farfield that a preset needs, by preset.

    >>> study = Study("demo", "Is more more?", lambda point, seed: {"y": point["n"]}, {"n": [1, 2]}, {"small": Preset(2)}, [])
    >>> [(t.point, t.seed) for t in study.trials("small")]
    [({'n': 1}, 0), ({'n': 2}, 0), ({'n': 1}, 1), ({'n': 2}, 1)]
    """

    paper: str
    question: str
    trial: TrialFunction
    grid: Mapping[str, Sequence[Any]]
    presets: Mapping[str, Preset]
    claims: Sequence[Claim]
    figures: Sequence[Figure] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
    extras: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def preset(self, name: str) -> Preset:
        """Return a preset by name. Raises InputError on an unknown one."""
        if name not in self.presets:
            raise unknown_name(f"preset of {self.paper}", name, self.presets)
        return self.presets[name]

    def axes(self, preset: str, replaced: Mapping[str, Sequence[Any]] | None = None) -> dict[str, list[Any]]:
        """Return axis -> values of a preset, with the user's own values in place of some.

        Raises InputError on an axis or setting that the study does not have.
        """
        chosen = self.preset(preset)
        axes = {**self.grid, **chosen.grid}
        known = {**axes, **chosen.settings}
        for name, values in (replaced or {}).items():
            if name not in known:
                raise unknown_name(f"axis of {self.paper}", name, known)
            if not values:
                raise InputError(f"the axis {name!r} of {self.paper} was given no value")
        return {name: list((replaced or {}).get(name, values)) for name, values in axes.items()}

    def trials(
        self,
        preset: str = "small",
        replaced: Mapping[str, Sequence[Any]] | None = None,
        *,
        seeds: int | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> list[Trial]:
        """Return the trials of a preset, all points of the first seed first.

        **Arguments:**
        - ``replaced``: axis -> values in place of the study's (``--set``); a setting takes a single value.
        - ``sources``: value of a point -> hash of what it only names, such as the user's data; a trial's key takes those of
          its own point. The source of the user's modules is among them anyway.
        """
        chosen, axes = self.preset(preset), self.axes(preset, replaced)
        settings = dict(chosen.settings)
        for name, values in (replaced or {}).items():
            if name in settings and name not in axes:
                if len(values) != 1:
                    raise InputError(f"the setting {name!r} of {self.paper} takes one value, {len(values)} came")
                settings[name] = values[0]
        points = []
        for values in itertools.product(*axes.values()):
            point = dict(zip(axes, values))
            own = {
                name: setting.at(point) if isinstance(setting, Per) else setting for name, setting in settings.items()
            }
            points.append(point | own)
        named = {v for point in points for v in point.values() if isinstance(v, str)}
        hashes = {v: _source(v) for v in named if _is_module(v)}
        for value, found in (sources or {}).items():
            hashes[value] = f"{hashes[value]} {found}" if value in hashes else found
        name = self.paper if self.version == 1 else f"{self.paper}/{self.version}"
        # Seeds outside: a worker loads a task once for all methods, and what stands after an interruption has every point
        # with the first seeds.
        return [
            Trial(name, point, seed, {v: hashes[v] for v in point.values() if isinstance(v, str) and v in hashes})
            for seed in range(seeds or chosen.seeds)
            for point in points
        ]

    def records(self, outcomes: Sequence[Outcome]) -> pd.DataFrame:
        """Return one row per finished trial: its point, its seed and every number of its result (nested names with /).

        Curves (lists) are kept as they are. The axes are in ``records.attrs["axes"]``.
        """
        import pandas as pd

        rows = [{**o.trial.point, "seed": o.trial.seed, **_flat(o.result)} for o in outcomes if o.result is not None]
        records = pd.DataFrame(rows)
        records.attrs["axes"] = list(self.grid)
        return records


def _flat(result: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in result.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat


def _is_module(value: Any) -> bool:
    return isinstance(value, str) and ":" in value and parse(value).kind == "module"


def _source(name: str) -> str:
    from farfield.modules import source_hash

    return source_hash(name)
