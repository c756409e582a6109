"""Figures of description lengths: accuracy against channels, length against entropy, and which channels stand for which class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.claims import mean_interval
from farfield.study.figures import PALETTE
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd

ORDERS = {
    "curve_roa": ("representativeness", PALETTE[0], "-"),
    "curve_share": ("P(z|c) only", PALETTE[2], "--"),
    "curve_weighted": ("weight x activation", PALETTE[4], ":"),
    "curve_random": ("random", PALETTE[6], "-"),
}


def accuracy_curves(*, width: int, caption: str, name: str = "curves") -> Figure:
    """Return a figure with a panel per image set: accuracy against the number of channels, a line per order of channels.

    **Arguments:** ``width``: of the networks that are shown.

    >>> accuracy_curves(width=48, caption="").name
    'curves'
    """

    def draw(records: pd.DataFrame) -> str | None:
        rows = _sets(records, "curve_roa", width)
        sets = list(dict.fromkeys(rows["data"])) if len(rows) else []
        if not sets:
            return None
        figure, panels = _grid(len(sets))
        for axes, title in zip(panels, sets):
            mine = rows[rows["data"] == title]
            for metric, (label, colour, style) in ORDERS.items():
                curve = np.array(mine[metric].tolist(), dtype=float).mean(0)
                axes.plot(np.arange(1, len(curve) + 1), curve, style, color=colour, linewidth=1.6, label=label)
            axes.set_xscale("log")
            axes.set_xticks([1, 4, 16], ["1", "4", "16"])
            axes.minorticks_off()
            axes.set_ylim(0, 1.03)
            axes.set_title(str(title), fontsize=svg.SMALL, color=svg.INK, parse_math=False)
            svg.name_axes(axes, "channels kept", "accuracy")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=2, frameon=False, fontsize=8, labelcolor=svg.INK)
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def length_against_entropy(*, width: int, caption: str, name: str = "inverted-u") -> Figure:
    """Return a figure with a point per image set: mean description length against entropy, both logarithmic, with the quadratic fit.

    Hollow points are sets that the networks did not learn; they are not in the fit. Bars are 95 % intervals over seeds.

    **Arguments:** ``width``: of the networks that are shown.

    >>> length_against_entropy(width=48, caption="").name
    'inverted-u'
    """

    def draw(records: pd.DataFrame) -> str | None:
        rows = _sets(records, "k/roa", width)
        points = []
        for title, mine in rows.groupby("data", sort=False):
            lengths = np.log(mine["k/roa"].to_numpy(float))
            ends = mean_interval(lengths)[:3] if len(lengths) > 1 else (lengths[0],) * 3
            points.append((str(title), np.log(mine["entropy"].to_numpy(float)).mean(), *ends, mine["learnt"].mean()))
        if not points:
            return None
        figure, axes = svg.canvas(4.8, 3.4)
        svg.margins(figure, left=48, right=14, top=14, bottom=40)
        for title, x, mean, low, high, learnt in points:
            axes.plot(np.exp([x, x]), np.exp([low, high]), color=svg.BASELINE, linewidth=1.5)
            axes.plot(
                [np.exp(x)], [np.exp(mean)], "o", color=svg.BASELINE, markerfacecolor=svg.BASELINE if learnt > 0.5 else "none"
            )  # fmt: skip
            axes.annotate(
                title, (np.exp(x), np.exp(high)), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=8,
                color=svg.INK, parse_math=False,
            )  # fmt: skip
        used = [(x, mean) for _, x, mean, _, _, learnt in points if learnt > 0.5]
        if len({x for x, _ in used}) >= 4:
            x, y = np.array(used).T
            at = np.linspace(x.min(), x.max(), 60)
            axes.plot(np.exp(at), np.exp(np.polyval(np.polyfit(x, y, 2), at)), color=svg.BEST, linewidth=1.5)
        for axis, which in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
            axis("log")
            low, high = which.get_view_interval()
            ticks = [t for t in (1, 1.5, 2, 3, 4, 5, 6, 8, 12, 20, 30) if low <= t <= high]
            which.set_ticks(ticks, [f"{t:g}" for t in ticks])
            which.set_ticks([], minor=True)
        svg.name_axes(axes, "entropy of the images, bits", "channels needed")
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def channels_by_class(data: str, *, width: int, caption: str, name: str = "representativeness") -> Figure:
    """Return a heat map of one network: log10 of the representativeness of each channel (across) for each class (down).

    **Arguments:** ``data``: the image set; of several seeds the first is shown, as channels of two networks have no common order.

    >>> channels_by_class("jittered", width=48, caption="").name
    'representativeness'
    """

    def draw(records: pd.DataFrame) -> str | None:
        rows = _sets(records, "log_roa", width)
        rows = rows[rows["data"] == data].sort_values("seed") if len(rows) else rows
        if rows.empty:
            return None
        cells = np.array(rows["log_roa"].iloc[0], dtype=float)
        # Channels in the order of the class that they stand for, so that blocks can be seen.
        cells = cells[:, np.lexsort((-cells.max(0), cells.argmax(0)))]
        figure, axes = svg.canvas(5.2, 2.6)
        axes.grid(visible=False)
        # Dead channels are at the lower end and would take all the colours.
        drawn = axes.pcolormesh(cells.clip(-3, 1), cmap="cividis")
        axes.invert_yaxis()
        axes.set_yticks(np.arange(len(cells)) + 0.5, [str(i) for i in range(len(cells))])
        svg.margins(figure, left=40, right=12, top=10, bottom=40)
        svg.colour_bar(figure, axes, drawn, "log10 of representativeness")
        svg.name_axes(axes, "channels, sorted by the class that they stand for most", "class")
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def _sets(records: pd.DataFrame, metric: str, width: int) -> pd.DataFrame:
    """Return the records of image sets at a width, or at the only one that there is; none where nothing has the metric."""
    if metric not in records:
        return records.iloc[:0]
    rows = records.dropna(subset=[metric])
    return (
        rows[rows["width"] == width] if (rows["width"] == width).any() else rows[rows["width"] == rows["width"].min()]
    )


def _grid(n: int) -> tuple[Any, list[Any]]:
    """Return a figure with n panels, two in a row, and room for a legend under them."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    rows = -(-n // 2)
    height = 1.9 * rows + 0.6
    figure = Canvas(figsize=(4.8, height))
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    panels = list(figure.subplots(rows, 2, squeeze=False).flat)
    figure.subplots_adjust(
        left=0.11, right=0.98, top=1 - 0.25 / height, bottom=1.05 / height, hspace=0.75, wspace=0.32
    )  # fmt: skip
    for axes in panels[n:]:
        axes.set_visible(False)
    for axes in panels[:n]:
        svg.unframe(axes)
    return figure, panels[:n]
