"""Figures that many studies share: what was measured, with its intervals, for people who would rather look than read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.claims import mean_interval
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
        tasks = list(dict.fromkeys(records["task"])) if "task" in records else [None]
        values = list(dict.fromkeys(records[along]))
        figure, panels = _panels(len(tasks), legend=len(values))
        for axes, task in zip(panels, tasks):
            rows = records if task is None else records[records["task"] == task]
            for i, value in enumerate(values):
                mine = rows[rows[along] == value].groupby("seed")[[x, y]].mean()
                if len(mine) < 2:
                    continue
                (mx, lx, hx, _), (my, ly, hy, _) = mean_interval(mine[x]), mean_interval(mine[y])
                axes.errorbar(
                    [scale * mx],
                    [scale * my],
                    xerr=[[scale * (mx - lx)], [scale * (hx - mx)]],
                    yerr=[[scale * (my - ly)], [scale * (hy - my)]],
                    fmt=MARKERS[(i // len(PALETTE)) % len(MARKERS)],
                    color=PALETTE[i % len(PALETTE)],
                    markersize=5,
                    elinewidth=0.8,
                    label=str(value),
                )
            axes.set_title("" if task is None else str(task), fontsize=svg.SMALL, color=svg.INK, parse_math=False)
            svg.name_axes(axes, *labels)
        _legend(figure, panels[0])
        return svg.render(figure, name)

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
        tasks = list(dict.fromkeys(rows["task"])) if "task" in rows else [None]
        values = list(dict.fromkeys(rows[along]))
        figure, panels = _panels(len(tasks), legend=len(values))
        for axes, task in zip(panels, tasks):
            mine = rows if task is None else rows[rows["task"] == task]
            for i, value in enumerate(values):
                lines = np.array(mine[mine[along] == value][metric].tolist(), dtype=float)
                if len(lines) < 1:
                    continue
                at = (np.arange(lines.shape[1]) + 0.5) / lines.shape[1] * 100
                axes.plot(at, lines.mean(0), color=PALETTE[i % len(PALETTE)], label=str(value))
                if len(lines) > 1:
                    ends = np.array([mean_interval(column)[1:3] for column in lines.T])
                    axes.fill_between(at, *ends.T, color=PALETTE[i % len(PALETTE)], alpha=0.15, linewidth=0)
            if log:
                axes.set_yscale("log")
            axes.set_title("" if task is None else str(task), fontsize=svg.SMALL, color=svg.INK, parse_math=False)
            svg.name_axes(axes, *labels)
        _legend(figure, panels[0])
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def _panels(n: int, *, legend: int) -> tuple[Any, Sequence[Any]]:
    """Return a figure with n panels below each other (readable on a phone) and room for a legend under them."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    rows = -(-legend // 4)
    height = 2.9 * n + 0.24 * rows + 0.2
    figure = Canvas(figsize=(4.8, height))
    FigureCanvasSVG(figure)
    panels = figure.subplots(n, 1, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.16, right=0.97, top=1 - 0.28 / height, bottom=(0.62 + 0.24 * rows) / height, hspace=0.55
    )
    figure.patch.set_visible(False)
    for axes in panels:
        axes.patch.set_visible(False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.tick_params(colors=svg.INK, labelsize=svg.SMALL, length=3, color=svg.OTHER)
        axes.grid(color=svg.FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, panels


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", ncols=4, frameon=False, fontsize=8, labelcolor=svg.INK, handlelength=1.2
    )
