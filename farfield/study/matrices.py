"""A figure of square matrices side by side: how each of several things does with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.claims import only
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd


def matrices(
    metric: str,
    names: str,
    *,
    along: str,
    values: Sequence[str],
    labels: tuple[str, str],
    caption: str,
    name: str = "matrices",
    where: Mapping[str, Any] | None = None,
) -> Figure:
    """A panel per value of an axis: a matrix that trials report, its mean over seeds, with the number in each cell.

    **Arguments:**
    - ``metric``: a list of rows, numbers from 0 to 1, None where a cell is undefined (left empty).
    - ``names``: a list that trials report, the names of the rows and columns.
    - ``along``: the axis; ``values``: those of it that are shown, from top to bottom; ``where``: use only records with these
      values of other axes.
    - ``labels``: of columns and rows.
    """

    def draw(records: pd.DataFrame) -> str | None:
        if metric not in records:
            return None
        rows = only(records, where).dropna(subset=[metric])
        shown = [v for v in values if (rows[along] == v).any()]
        if not shown:
            return None
        titles = list(rows[names].iloc[0])
        figure, panels = _panels(len(shown), titles)
        for axes, value in zip(panels, shown):
            cells = np.array(rows[rows[along] == value][metric].tolist(), dtype=float).mean(0)
            # Squares, not an image, which browsers blur.
            axes.pcolormesh(np.ma.masked_invalid(cells), vmin=0, vmax=1, cmap="cividis", edgecolors="none")
            axes.invert_yaxis()
            for (i, j), cell in np.ndenumerate(cells):
                if np.isfinite(cell):
                    colour = "#ffffff" if cell < 0.5 else "#000000"
                    axes.text(j + 0.5, i + 0.5, f"{100 * cell:.0f}", ha="center", va="center", fontsize=8, color=colour)
            axes.set_title(str(value), fontsize=svg.SMALL, color=svg.INK, parse_math=False)
            at = np.arange(len(titles)) + 0.5
            axes.set_xticks(at, titles, rotation=90, parse_math=False)
            axes.set_yticks(at, titles, parse_math=False)
            svg.name_axes(axes, *labels)
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def _panels(n: int, titles: Sequence[str]) -> tuple[Any, Sequence[Any]]:
    """Return a figure with n square panels below each other and room for the names of their rows and columns."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    names, side = svg.text_width(titles), 22 * len(titles)
    left, below, above = names + 26, names + 26, 24
    width, height = left + side + 10, n * (above + side + below)
    figure = Canvas(figsize=(width / 72, height / 72))
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    panels = []
    for i in range(n):
        bottom = height - (i + 1) * (above + side + below) + below
        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axes.tick_params(colors=svg.INK, labelsize=svg.SMALL, length=0)
        axes.patch.set_visible(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        panels.append(axes)
    return figure, panels
