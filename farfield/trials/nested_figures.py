"""Figures of what a representation is worth by its size or its cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from farfield.study.claims import mean_interval
from farfield.study.figures import MARKERS, PALETTE
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd


def by_size(
    x: str, y: str, ways: Mapping[str, int], *, labels: tuple[str, str], caption: str, name: str, scale: float = 1.0
) -> Figure:
    """Panels, one per task; a line per way through its sizes, from nested metric ``x`` to nested metric ``y``.

    **Arguments:** ``ways``: each with the place of its colour and mark in the palette; ``x``, ``y``: metrics with a
    number for each size, such as "dims" and "accuracy"; a point is the mean of both over seeds, with the 95 % interval
    of ``y``; ``scale``: factor on ``y``; ``labels``: of the axes, with units. The x axis is logarithmic.

    >>> by_size("dims", "accuracy", {"mrl": 0}, labels=("dimensions", "accuracy"), caption="", name="sizes").name
    'sizes'
    """

    def draw(records: pd.DataFrame) -> str | None:
        rows = records[records["way"].isin(ways)]
        lines = {
            (task, way): points
            for (task, way), mine in rows.groupby(["task", "way"], sort=False)
            if (points := _points(mine, x, y))
        }
        tasks = list(dict.fromkeys(task for task, _ in lines))
        if not tasks:
            return None
        height = 2.7 * len(tasks) + 0.35
        figure, axes = svg.canvas(4.8, height)
        axes.remove()
        panels = []
        for row, task in enumerate(tasks):
            axes = figure.add_subplot(len(tasks), 1, row + 1)
            axes.patch.set_visible(False)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=svg.INK, labelsize=svg.SMALL, length=3, color=svg.OTHER)
            axes.grid(color=svg.FAINT, linewidth=0.6)
            ends = []
            for way, i in ways.items():
                if (task, way) not in lines:
                    continue
                at, mean, low, high = np.array(lines[task, way]).T * [[1], [scale], [scale], [scale]]
                colour = PALETTE[i % len(PALETTE)]
                axes.plot(at, mean, marker=MARKERS[i % len(MARKERS)], markersize=4, color=colour, linewidth=1.4)
                axes.vlines(at, low, high, color=colour, linewidth=1)
                ends.append((way, float(mean[-1]), colour, False))
            axes.set_xscale("log", base=2)
            axes.set_title(str(task), fontsize=svg.SMALL, color=svg.INK, parse_math=False)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
            svg.name_axes(axes, *labels)
            panels.append((axes, ends))
        figure.subplots_adjust(left=0.14, right=0.8, top=1 - 0.25 / height, bottom=0.5 / height, hspace=0.42)
        for axes, ends in panels:
            svg.label_right(figure, axes, ends)
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def _points(mine: pd.DataFrame, x: str, y: str) -> list[tuple[float, float, float, float]]:
    """Return (x, y, low, high) of each size that has both, by rising x."""
    found = []
    for column in [c for c in mine if c.startswith(f"{y}/") and c.count("/") == 1]:
        at = column.replace(y, x, 1)
        both = mine.dropna(subset=[column, at]) if at in mine else mine.iloc[:0]
        if both.empty:
            continue
        values = both[column].to_numpy(dtype=float)
        mean, low, high = mean_interval(values)[:3] if len(values) > 1 else (values[0],) * 3
        found.append((float(both[at].mean()), mean, low, high))
    return sorted(found)
