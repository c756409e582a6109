"""Clouds of trials in two numbers, coloured by a third on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from farfield.study.claims import only
from farfield.study.figures import MARKERS
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd


def cloud(
    x: str,
    y: str,
    colour: str,
    marker: str,
    *,
    labels: tuple[str, str, str],
    caption: str,
    name: str,
    where: Mapping[str, Any] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    equality: bool = False,
) -> Figure:
    """A point per trial: two of its metrics, coloured by a third above 0 on a logarithmic scale, a marker per value of an axis.

    **Arguments:** ``labels``: of x, y and colour; ``where``: use only records with these values; ``equality``: draw the line x = y.
    """

    def draw(records: pd.DataFrame) -> str | None:
        from matplotlib import colormaps
        from matplotlib.colors import LogNorm

        if any(column not in records for column in (x, y, colour, marker)):
            return None
        rows = only(records, where).dropna(subset=[x, y, colour])
        rows = rows[rows[colour] > 0]
        if rows.empty:
            return None
        figure, axes = svg.canvas(4.8, 3.9)
        # Few steps: the bar is then drawn as shapes, where many become a bitmap, which a report does not load.
        steps = colormaps["viridis"].resampled(24)
        norm = LogNorm(rows[colour].min(), max(rows[colour].max(), 1.01 * rows[colour].min()))
        for value, drawn in zip(dict.fromkeys(rows[marker]), MARKERS):
            mine = rows[rows[marker] == value]
            points = axes.scatter(
                mine[x], mine[y], c=mine[colour], norm=norm, cmap=steps, marker=drawn, s=18, label=str(value)
            )
        if equality:
            ends = [min(rows[x].min(), rows[y].min()), max(rows[x].max(), rows[y].max())]
            axes.plot(ends, ends, color=svg.BASELINE, linewidth=1, zorder=0)
        if log_x:
            axes.set_xscale("log")
        if log_y:
            axes.set_yscale("log")
        svg.name_axes(axes, *labels[:2])
        svg.margins(figure, left=52, right=12, top=8, bottom=62)
        svg.colour_bar(figure, axes, points, labels[2])
        handles, texts = axes.get_legend_handles_labels()
        key = figure.legend(handles, texts, loc="lower center", ncols=5, frameon=False, fontsize=8, labelcolor=svg.INK)
        for handle in key.legend_handles:
            # The key is about the marker; its colour would say something else.
            handle.set_array(None)
            handle.set_color(svg.OTHER)
        return svg.render(figure, name)

    return Figure(name, caption, draw)
