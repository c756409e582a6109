"""Figures that many studies share: what was measured, with its intervals, for people who would rather look than read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.claims import mean_interval, only
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b8f96")
MARKERS = "osD^vPX"


def differences(
    metric: str, *, baseline: str, along: str, label: str, caption: str, name: str = "differences", scale: float = 1.0
) -> Figure:
    """A row per value of an axis: its metric minus the baseline's, paired by seed, mean over the other axes, 95 % interval.

    **Arguments:** ``scale``: factor on the metric (100 for points); ``label``: of the horizontal axis, with its unit.
    """

    def draw(records: pd.DataFrame) -> str | None:
        cells = records.pivot_table(
            index=["seed", "task"] if "task" in records else ["seed"], columns=along, values=metric
        )
        if baseline not in cells or len(cells.columns) < 2:
            return None
        found = {}
        for value in cells.columns.drop(baseline):
            per_seed = (cells[value] - cells[baseline]).dropna().groupby(level="seed").mean()
            if len(per_seed) >= 2:
                found[value] = [scale * v for v in mean_interval(per_seed)[:3]]
        if not found:
            return None
        ordered = sorted(found, key=lambda v: -found[v][0])
        figure, axes = svg.rows([str(v) for v in ordered])
        for row, value in enumerate(ordered):
            mean, low, high = found[value]
            colour = svg.WORST if low > 0 else svg.BEST if high < 0 else svg.OTHER
            axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot([mean], [row], "o", color=colour, markersize=6)
        axes.axvline(0, color=svg.BASELINE, linewidth=1)
        svg.name_axes(axes, label, "")
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def near_far(
    x: str, y: str, *, along: str, labels: tuple[str, str], caption: str, name: str = "near-far", scale: float = 1.0
) -> Figure:
    """Panels, one per task: the mean of two metrics for each value of an axis, with 95 % intervals over seeds both ways."""

    def draw(records: pd.DataFrame) -> str | None:
        def point(axes: Any, mine: pd.DataFrame, i: int, label: str) -> None:
            means = mine.groupby("seed")[[x, y]].mean()
            if len(means) < 2:
                return
            (mx, lx, hx, _), (my, ly, hy, _) = mean_interval(means[x]), mean_interval(means[y])
            axes.errorbar(
                [scale * mx],
                [scale * my],
                xerr=[[scale * (mx - lx)], [scale * (hx - mx)]],
                yerr=[[scale * (my - ly)], [scale * (hy - my)]],
                fmt=_style(i)[1],
                color=_style(i)[0],
                markersize=5,
                elinewidth=0.8,
                label=label,
            )

        return _by_task(records, along, point, name=name, labels=labels)

    return Figure(name, caption, draw)


def curves(
    metric: str, *, along: str, labels: tuple[str, str], caption: str, name: str = "curves", log: bool = False
) -> Figure:
    """Panels, one per task: a list that trials report, its mean over seeds with a 95 % band, a line per value of an axis."""

    def draw(records: pd.DataFrame) -> str | None:
        if metric not in records:
            return None
        rows = records[records[metric].map(lambda v: isinstance(v, list))]
        if rows.empty:
            return None

        def line(axes: Any, mine: pd.DataFrame, i: int, label: str) -> None:
            values = np.array(mine[metric].tolist(), dtype=float)
            if len(values) < 1:
                return
            at = (np.arange(values.shape[1]) + 0.5) / values.shape[1] * 100
            axes.plot(at, values.mean(0), color=PALETTE[i % len(PALETTE)], label=label)
            if len(values) > 1:
                ends = np.array([mean_interval(column)[1:3] for column in values.T])
                axes.fill_between(at, *ends.T, color=PALETTE[i % len(PALETTE)], alpha=0.15, linewidth=0)

        return _by_task(rows, along, line, name=name, labels=labels, log_y=log)

    return Figure(name, caption, draw)


def lines(
    x: str,
    y: str,
    along: str | None = None,
    *,
    labels: tuple[str, str],
    caption: str,
    name: str = "lines",
    where: Mapping[str, Any] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """Panels, one per task: the mean of metric ``y`` at each value of the numeric axis ``x``, 95 % intervals over seeds.

    **Arguments:** ``along``: an axis, a line for each of its values; ``where``: use only records with these values.
    """

    def draw(records: pd.DataFrame) -> str | None:
        rows = _shown(records, where, x, y)
        if rows.empty:
            return None

        def line(axes: Any, mine: pd.DataFrame, i: int, label: str) -> None:
            points = [(at, *_mean_ends(group.groupby("seed")[y].mean())) for at, group in mine.groupby(x)]
            if not points:
                return
            at, mean, low, high = np.array(points, dtype=float).T
            colour, marker = _style(i)
            axes.plot(at, mean, marker=marker, markersize=4, color=colour, label=label)
            axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)

        return _by_task(rows, along, line, name=name, labels=labels, log_x=log_x, log_y=log_y)

    return Figure(name, caption, draw)


def bars(
    metrics: Mapping[str, str],
    along: str,
    *,
    label: str,
    caption: str,
    name: str = "bars",
    where: Mapping[str, Any] | None = None,
    log: bool = False,
) -> Figure:
    """A row per value of an axis: the mean of each metric with its 95 % interval over seeds, mean over the other axes.

    **Arguments:** ``metrics``: name in the records -> its name in the figure; ``label``: of the horizontal axis, with its unit.
    """

    def draw(records: pd.DataFrame) -> str | None:
        present = [m for m in metrics if m in records]
        rows = _shown(records, where, along)
        if not present or rows.empty:
            return None
        values = _distinct(rows, along)
        key = [(metrics[m], _style(i)[0], _style(i)[1]) for i, m in enumerate(present)] if len(present) > 1 else ()
        figure, axes = svg.rows([str(v) for v in values], key=key)
        for row, value in enumerate(values):
            for i, metric in enumerate(present):
                per_seed = _rows(rows, along, value).groupby("seed")[metric].mean().dropna()
                if per_seed.empty:
                    continue
                mean, low, high = _mean_ends(per_seed)
                at = row + (i - (len(present) - 1) / 2) * 0.8 / len(present)
                colour, marker = _style(i)
                axes.plot([low, high], [at, at], color=colour, linewidth=2, solid_capstyle="butt")
                axes.plot([mean], [at], marker, color=colour, markersize=5)
        _scales(axes, log, False)
        svg.name_axes(axes, label, "")
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def scatter(
    x: str,
    y: str,
    colour: str | None = None,
    *,
    labels: tuple[str, str],
    caption: str,
    name: str = "scatter",
    where: Mapping[str, Any] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """One point per trial: two of its metrics, coloured by the value of an axis."""

    def draw(records: pd.DataFrame) -> str | None:
        rows = _shown(records, where, x, y)
        if rows.empty:
            return None
        values = _distinct(rows, colour)
        figure, (axes,) = _panels(1, legend=[str(v) for v in values] if colour else [])
        for i, value in enumerate(values):
            mine = _rows(rows, colour, value)
            drawn, marker = _style(i)
            axes.plot(mine[x], mine[y], marker, color=drawn, markersize=4, alpha=0.8, label=str(value))
        _scales(axes, log_x, log_y)
        svg.name_axes(axes, *labels)
        if colour:
            _legend(figure, [axes])
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def heat_map(
    x: str,
    y: str,
    value: str,
    *,
    labels: tuple[str, str],
    caption: str,
    name: str = "heat-map",
    where: Mapping[str, Any] | None = None,
) -> Figure:
    """The mean of a metric over two numeric axes, the cell with the highest mean marked; cells without a trial stay empty."""

    def draw(records: pd.DataFrame) -> str | None:
        rows = _shown(records, where, x, y, value)
        if rows.empty:
            return None
        table = rows.pivot_table(index=y, columns=x, values=value, aggfunc="mean").sort_index().sort_index(axis=1)
        cells = table.to_numpy()
        figure, (axes,) = _panels(1, legend=[])
        axes.grid(visible=False)
        # Drawn as shapes: the page shows no embedded pictures.
        at = [np.arange(size) for size in cells.shape]
        drawn = axes.pcolormesh(at[1], at[0], np.ma.masked_invalid(cells), shading="nearest", cmap="cividis")
        best = np.unravel_index(np.nanargmax(cells), cells.shape)
        axes.plot(
            best[1], best[0], "o", markersize=9, markerfacecolor="none", markeredgecolor=svg.BEST, markeredgewidth=2
        )
        for names, place in ((table.columns, axes.set_xticks), (table.index, axes.set_yticks)):
            every = -(-len(names) // 10)
            place(range(0, len(names), every), [f"{n:g}" for n in names[::every]])
        svg.colour_bar(figure, axes, drawn)
        svg.name_axes(axes, *labels)
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def domain_correlations(near: str, far: str, *, caption: str, name: str = "correlation") -> Figure:
    """A row per far test: Pearson's correlation over trials between the score near and the score there, 95 % interval.

    **Arguments:** ``near``: a metric; ``far``: the nested metric with a score by test, such as "tests"; its "iid" is left out.
    """

    def draw(records: pd.DataFrame) -> str | None:
        from farfield.measure import domain_correlation

        found = {}
        for column in [c for c in records if c.startswith(f"{far}/") and c != f"{far}/iid"]:
            rows = _shown(records, None, near, column)
            for task, mine in rows.groupby("task") if "task" in rows else [("", rows)]:
                if len(mine) >= 4 and mine[near].nunique() > 1 and mine[column].nunique() > 1:
                    label = f"{task}: {column.removeprefix(f'{far}/')}" if task else column
                    found[label] = domain_correlation(mine[near], {label: mine[column]})[label]
        if not found:
            return None
        figure, axes = svg.rows(list(found))
        for row, c in enumerate(found.values()):
            axes.plot([c.low, c.high], [row, row], color=svg.BASELINE, linewidth=2, solid_capstyle="butt")
            axes.plot([c.value], [row], "o", color=svg.BASELINE, markersize=5)
        axes.axvline(0, color=svg.OTHER, linewidth=1)
        axes.set_xlim(-1.05, 1.05)
        svg.name_axes(axes, "correlation of accuracy there with accuracy near", "")
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def _by_task(
    rows: pd.DataFrame,
    along: str | None,
    draw: Callable[[Any, pd.DataFrame, int, str], None],
    *,
    name: str,
    labels: tuple[str, str],
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """Return panels, one per task; in each, ``draw(axes, records, i, label)`` for the i-th value of the axis ``along``."""
    tasks, values = _distinct(rows, "task"), _distinct(rows, along)
    figure, panels = _panels(len(tasks), legend=[str(v) for v in values] if along else [])
    for axes, task in zip(panels, tasks):
        mine = _rows(rows, "task", task)
        for i, value in enumerate(values):
            draw(axes, _rows(mine, along, value), i, str(value))
        _scales(axes, log_x, log_y)
        _title(axes, task)
        svg.name_axes(axes, *labels)
    if along:
        _legend(figure, panels)
    return svg.render(figure, name)


def _shown(records: pd.DataFrame, where: Mapping[str, Any] | None, *columns: str) -> pd.DataFrame:
    """Return the records to draw: those asked for that have a value in each of these columns, none where one is missing."""
    if any(column not in records for column in columns):
        return records.iloc[:0]
    return only(records, where).dropna(subset=list(columns))


def _distinct(rows: pd.DataFrame, axis: str | None) -> list[Any]:
    return list(dict.fromkeys(rows[axis])) if axis is not None and axis in rows else [None]


def _rows(rows: pd.DataFrame, axis: str | None, value: Any) -> pd.DataFrame:
    return rows if value is None or axis is None else rows[rows[axis] == value]


def _mean_ends(per_seed: Sequence[float]) -> tuple[float, float, float]:
    """Return a mean and the ends of its interval; from a single seed all three are its value."""
    if len(per_seed) < 2:
        value = float(np.mean(per_seed))
        return value, value, value
    return mean_interval(per_seed)[:3]


def _style(i: int) -> tuple[str, str]:
    return PALETTE[i % len(PALETTE)], MARKERS[(i // len(PALETTE)) % len(MARKERS)]


def _scales(axes: Any, log_x: bool, log_y: bool) -> None:
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")


def _title(axes: Any, task: Any) -> None:
    axes.set_title("" if task is None else str(task), fontsize=svg.SMALL, color=svg.INK, parse_math=False)


def _panels(n: int, *, legend: Sequence[str]) -> tuple[Any, Sequence[Any]]:
    """Return a figure with n panels below each other (readable on a phone) and room for a legend of these texts under them."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    rows = -(-len(legend) // _columns(legend)) if legend else 0
    height = 2.9 * n + 0.24 * rows + 0.2
    figure = Canvas(figsize=(4.8, height))
    FigureCanvasSVG(figure)
    panels = figure.subplots(n, 1, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.16, right=0.97, top=1 - 0.28 / height, bottom=(0.62 + 0.24 * rows) / height, hspace=0.55
    )
    figure.patch.set_visible(False)
    for axes in panels:
        svg.unframe(axes)
    return figure, panels


def _columns(texts: Sequence[str]) -> int:
    """Return how many columns of these texts fit under a figure, up to four."""
    # In points: the figure is 345 wide, a handle with its gaps takes 30, and a letter about 4.4.
    return max(1, min(4, int(345 // (30 + 4.4 * max(map(len, texts))))))


def _legend(figure: Any, panels: Sequence[Any]) -> None:
    # Not every panel has every line.
    keys = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels())}
    if keys:
        figure.legend(
            keys.values(), keys, loc="lower center", ncols=_columns(list(keys)), frameon=False, fontsize=8,
            labelcolor=svg.INK, handlelength=1.2,
        )  # fmt: skip
