"""The figures of a comparison as SVG. Each function draws one; None where there is nothing to draw.

Everywhere the baseline is a circle, the best other method a square, the worst a triangle, and the others are grey.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from farfield.compare.verdict import Results, finished, roles
from farfield.web import svg as _svg
from farfield.web.svg import BASELINE, BEST, FAINT, INK, OTHER, SMALL, WORST
from farfield.web.wording import bounded, distinct, mean, shorten

# More methods than this and only the highlighted ones get a label of their own.
LABELLED = 15
CURVES = {"loss": "training loss", "validation": "validation accuracy, %", "far": "far accuracy, %"}


def leaderboard(results: Results) -> str | None:
    """Draw near and far accuracy of every method with the interval of the latter, best on top."""
    rows = finished(results)
    if not rows:
        return None
    figure, axes = _svg.rows([row["method"] for row in rows])
    styles = _styles(results)
    base = next((row for row in rows if row["method"] == results["settings"]["baseline"]), None)
    if base:
        axes.axvline(100 * base["far"]["mean"], color=BASELINE, linewidth=0.8, linestyle=(0, (3, 3)))
    for y, row in enumerate(rows):
        colour, marker, _ = styles[row["method"]]
        near = mean(row["near"])
        if near is not None:
            axes.plot([100 * row["far"]["mean"], 100 * near], [y, y], color=FAINT, linewidth=1, zorder=1)
            axes.plot(100 * near, y, marker="|", markersize=8, color=INK, markeredgewidth=1.2)
        _interval(axes, row["far"], y, colour, marker)
    _svg.name_axes(axes, "accuracy, %  (marker: far, stroke: near)", "")
    return _svg.render(figure, "leaderboard")


def differences(results: Results) -> str | None:
    """Draw the far accuracy of every method minus the baseline's, paired by seed, with its interval, in points."""
    rows = [row for row in finished(results) if mean(row["difference"]) is not None]
    if not rows:
        return None
    figure, axes = _svg.rows([row["method"] for row in rows])
    styles = _styles(results)
    axes.axvline(0, color=BASELINE, linewidth=1.2)
    for y, row in enumerate(rows):
        _interval(axes, row["difference"], y, *styles[row["method"]][:2], difference=True)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.5), max(high, 0.5))
    axes.locator_params(axis="x", nbins=6)
    _svg.name_axes(axes, f"far accuracy minus that of {shorten(results['settings']['baseline'], 24)}, points", "")
    return _svg.render(figure, "differences")


def severity(results: Results, task: str) -> str | None:
    """Draw accuracy against the severity of a task's shift; the training domains lie on the shaded part."""
    record = next(t for t in results["tasks"] if t["name"] == task)
    levels = record["severity"]
    lines = {}
    for row in _of(results, task):
        measured = {**row["domains"], **{k: v for k, v in row["tests"].items() if k != "iid"}}
        found = {name: i for name, i in measured.items() if name in levels and mean(i) is not None}
        if found:
            lines[row["method"]] = found
    if not lines:
        return None
    figure, axes = _svg.canvas()
    trained = [levels[d] for d in record["domains"] if d in levels]
    if trained:
        beyond = [level for level in levels.values() if level > max(trained)]
        below = [level for level in levels.values() if level < min(trained)]
        # The shade ends half way to the next level that was not trained on.
        right = (max(trained) + min(beyond)) / 2 if beyond else max(trained)
        left = (min(trained) + max(below)) / 2 if below else min(trained)
        axes.axvspan(left, right, color=FAINT, alpha=0.5, linewidth=0)
        axes.text(
            (left + right) / 2, 1.01, "trained here", transform=axes.get_xaxis_transform(), ha="center", va="bottom",
            fontsize=SMALL, color=INK,
        )  # fmt: skip
    ends = []
    for method, colour, marker, highlighted in _order(results, lines):
        at: dict[float, list[Mapping[str, Any]]] = {}
        for name, value in lines[method].items():
            at.setdefault(levels[name], []).append(value)
        xs = sorted(at)
        ys = [100 * float(np.mean([mean(v) for v in at[x]])) for x in xs]
        if highlighted:
            for x in xs:
                for value in at[x]:
                    _interval(axes, value, x, colour, marker, upright=True)
        axes.plot(xs, ys, color=colour, linewidth=1.8 if highlighted else 0.9, zorder=3 if highlighted else 1)
        ends.append((method, ys[-1], colour, highlighted))
    _severity_ticks(axes, levels)
    axes.set_ylabel("accuracy, %", fontsize=SMALL, color=INK)
    _labels(figure, axes, ends, top=16, bottom=40)
    return _svg.render(figure, f"severity-{_short_hash(task)}")


def domains(results: Results, *, most: int = 30) -> str | None:
    """Draw far accuracy on each test domain of the tasks without a severity: baseline, best, worst, and the others in grey.

    **Arguments:** ``most``: where there are more test domains, those with the lowest accuracy are drawn.
    """
    plain = [t["name"] for t in results["tasks"] if not t["severity"]]
    points: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for task in plain:
        for row in _of(results, task):
            for test, value in row["tests"].items():
                if test != "iid" and mean(value) is not None:
                    points.setdefault((task, test), {})[row["method"]] = value
    if not points:
        return None
    average = {key: np.mean([mean(v) for v in values.values()]) for key, values in points.items()}
    keys = sorted(points, key=lambda key: average[key])[:most]
    repeated = len({test for _, test in keys}) < len(keys)
    names = [f"{shorten(test, 14)} ({shorten(task, 12)})" if repeated else test for task, test in keys]
    figure, axes = _svg.rows(names, key=_key(results), pitch=25)
    for y, key in enumerate(keys):
        axes.axhline(y, color=FAINT, linewidth=0.6, zorder=0)
        for method, colour, marker, highlighted in _order(results, points[key]):
            if highlighted:
                # Side by side, so that no interval hides another.
                shift = {BASELINE: 0.2, BEST: -0.2, WORST: 0.0}[colour]
                _interval(axes, points[key][method], y + shift, colour, marker)
            else:
                axes.plot(100 * mean(points[key][method]), y, marker="o", markersize=3, color=OTHER, zorder=1)
    _svg.name_axes(axes, "far accuracy, %", "")
    return _svg.render(figure, "domains")


def near_far(results: Results) -> str | None:
    """Draw far against near accuracy, a point for each task and method; below the diagonal accuracy is lost."""
    cells = [
        (row["task"], row["method"], 100 * mean(row["near"]), 100 * mean(row["far"]))
        for row in results["by_task"]
        if mean(row["near"]) is not None and mean(row["far"]) is not None
    ]
    if not cells:
        return None
    figure, axes = _svg.canvas(height=3.6)
    styles = _styles(results)
    for _, method, near, far in cells:
        colour, marker, highlighted = styles[method]
        axes.plot(
            near, far, marker=marker, markersize=6 if highlighted else 3.5, color=colour, linestyle="none",
            zorder=3 if highlighted else 1,
        )  # fmt: skip
    nears, fars = [c[2] for c in cells], [c[3] for c in cells]
    pad = 0.06 * max(max(nears) - min(nears), max(fars) - min(fars), 2)
    axes.set_xlim(min(nears) - pad, max(nears) + pad)
    # High enough that the diagonal crosses the figure however far the points lie below it.
    axes.set_ylim(min(fars) - pad, max([*fars, *nears]) + pad)
    ends = [min(nears) - pad, max(nears) + pad]
    axes.plot(ends, ends, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), scalex=False, scaley=False)
    middle = sum(ends) / 2
    axes.annotate(
        "far = near", (middle, middle), xytext=(0, -4), textcoords="offset points", ha="left", va="top", fontsize=SMALL,
        color=INK,
    )  # fmt: skip
    labels = []
    if len(results["tasks"]) == 1:
        labels = [(m, far, *(styles[m][i] for i in (0, 2))) for _, m, _, far in cells]
    elif len(results["tasks"]) <= LABELLED:
        names = [task["name"] for task in results["tasks"]]
        for name, short in zip(names, distinct(names)):
            of_task = [c[3] for c in cells if c[0] == name]
            if of_task:
                labels.append((short, float(np.mean(of_task)), INK, False))
    axes.locator_params(axis="x", nbins=6)
    _svg.name_axes(axes, "near accuracy, %", "far accuracy, %")
    _labels(figure, axes, labels, top=24, bottom=36, key=_key(results))
    return _svg.render(figure, "near-far")


def curves(results: Results, task: str, what: str) -> str | None:
    """Draw how training went on a task: ``what`` is "loss", "validation" or "far"; each line is a mean over seeds."""
    lines: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    by_method: dict[str, dict[float, list[float]]] = {}
    for trial in results["trials"]:
        curve = trial.get("curve") or {}
        if trial["state"] != "done" or trial["task"] != task or not curve.get(what):
            continue
        for step, value in zip(curve["step"], curve[what]):
            if value is not None:
                by_method.setdefault(trial["method"], {}).setdefault(step, []).append(value)
    scale = 1 if what == "loss" else 100
    for method, at in by_method.items():
        steps = np.array(sorted(at))
        lines[method] = steps, np.array([scale * np.mean(at[s]) for s in steps])
    if not lines:
        return None
    figure, axes = _svg.canvas(height=2.9)
    ends = []
    for method, colour, marker, highlighted in _order(results, lines):
        steps, values = lines[method]
        axes.plot(
            steps, values, color=colour, linewidth=1.7 if highlighted else 0.8, zorder=3 if highlighted else 1,
            marker=marker if highlighted else None, markersize=4.5, markevery=(0, max(1, len(steps) // 6)),
        )  # fmt: skip
        ends.append((method, float(values[-1]), colour, highlighted))
    low = min(v.min() for _, v in lines.values())
    if what == "loss" and low > 0 and max(v.max() for _, v in lines.values()) > 20 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        ends = [(m, y, c, h) for m, y, c, h in ends if h]
    _svg.name_axes(axes, "training step", CURVES[what])
    _labels(figure, axes, ends, top=8, bottom=36)
    return _svg.render(figure, f"curves-{what}-{_short_hash(task)}")


def _interval(
    axes: Any,
    value: Mapping[str, Any],
    at: float,
    colour: str,
    marker: str,
    *,
    upright: bool = False,
    difference: bool = False,
) -> None:
    """A mean with its interval, in percent; lying at a row, or upright at a place on the x axis."""
    centre = 100 * value["mean"]
    if bounded(value):
        bounds = [100 * value["low"], 100 * value["high"]]
        if not difference:
            # An accuracy cannot lie outside these, whatever Student's t says.
            bounds = [max(bounds[0], 0), min(bounds[1], 100)]
        line = ([at, at], bounds) if upright else (bounds, [at, at])
        axes.plot(*line, color=colour, linewidth=2.0 if not upright else 1.3, solid_capstyle="butt", zorder=2)
    point = (at, centre) if upright else (centre, at)
    axes.plot(*point, marker=marker, markersize=6, color=colour, zorder=4)


def _labels(figure, axes, ends, *, top: float, bottom: float, key: Sequence[tuple[str, str, str]] = ()) -> None:
    """Set the margins and write the labels at the right; with many methods only the highlighted ones."""
    if len(ends) > LABELLED:
        ends = [end for end in ends if end[3]]
    right = _svg.text_width([shorten(text, 15) for text, *_ in ends]) + 18
    _svg.margins(figure, left=46, right=right, top=top, bottom=bottom)
    with _svg.any_script():
        figure.draw_without_rendering()
    _svg.label_right(figure, axes, ends)
    _svg.write_key(figure, axes, key)


def _key(results: Results) -> list[tuple[str, str, str]]:
    """The highlighted methods as (text, colour, marker)."""
    styles = _styles(results)
    who = roles(results)
    named = [(who.baseline, "baseline"), (who.best, "best"), (who.worst, "lowest")]
    return [
        (f"{shorten(m, 14)} ({role})" if role == "baseline" else shorten(m, 14), *styles[m][:2])
        for m, role in named
        if m
    ]


def _severity_ticks(axes: Any, levels: Mapping[str, float]) -> None:
    """Name the levels at the axis, without the words that all of them begin with."""
    names = sorted(levels, key=lambda name: levels[name])
    words = [name.split(" ") for name in names]
    shared = 0
    while len(names) > 1 and all(len(w) > shared + 1 for w in words) and len({w[shared] for w in words}) == 1:
        shared += 1
    places = sorted(set(levels.values()))
    short = [shorten(" ".join(w[shared:]), 9) for w in words]
    if len(places) == len(names) <= 8 and sum(map(len, short)) <= 34:
        axes.set_xticks([levels[name] for name in names], short, parse_math=False)
        axes.set_xlabel(
            f"severity: {shorten(' '.join(words[0][:shared]), 30)}" if shared else "severity of the shift",
            fontsize=SMALL, color=INK, parse_math=False,
        )  # fmt: skip
    else:
        axes.set_xlabel("severity of the shift", fontsize=SMALL, color=INK)


def _styles(results: Results) -> dict[str, tuple[str, str, bool]]:
    """Colour, marker and whether it is highlighted, for each method."""
    who = roles(results)
    given = {who.worst: (WORST, "^", True), who.best: (BEST, "s", True), who.baseline: (BASELINE, "o", True)}
    return {row["method"]: given.get(row["method"], (OTHER, "o", False)) for row in results["leaderboard"]}


def _order(results: Results, present: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """The methods that are present with their style, the highlighted ones last, so that they lie on top."""
    styled = [(m, *style) for m, style in _styles(results).items() if m in present]
    return sorted(styled, key=lambda entry: (entry[3], entry[1] == BASELINE))


def _of(results: Results, task: str) -> list[Mapping[str, Any]]:
    return [row for row in results["by_task"] if row["task"] == task]


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
