"""A figure of lists that trials report, such as a curve over training: several metrics against one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from farfield.study.claims import only
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd


def list_lines(
    x: str | Sequence[float],
    lines: Mapping[str, tuple[str, str, str]],
    *,
    where: Mapping[str, Any],
    labels: tuple[str, str],
    caption: str,
    name: str,
    log_x: bool = False,
) -> Figure:
    """Several lists of the same trials against one axis: the mean over seeds as a line, each seed as a thin one.

    **Arguments:**
    - ``x``: where the entries of the lists lie, or the metric (a list, the same in all trials) that says so.
    - ``lines``: metric -> (label, colour, style of matplotlib such as "-" or "--").
    - ``where``: the records drawn, axis -> value.
    - ``labels``: of both axes, with units.

    >>> list_lines((0, 1), {"accuracy": ("easy", svg.BEST, "-")}, where={}, labels=("step", ""), caption="", name="a").name
    'a'
    """

    def draw(records: pd.DataFrame) -> str | None:
        needed = [*lines, x] if isinstance(x, str) else list(lines)
        if any(metric not in records for metric in needed):
            return None
        rows = only(records, where).dropna(subset=needed)
        if rows.empty:
            return None
        figure, axes = svg.canvas(width=4.8)
        svg.margins(figure, left=48, right=112, top=10, bottom=40)
        at = rows[x].iloc[0] if isinstance(x, str) else list(x)
        ends = []
        for metric, (label, colour, style) in lines.items():
            for values in rows[metric]:
                axes.plot(at, values, style, color=colour, linewidth=0.5, alpha=0.35)
            mean = [sum(column) / len(column) for column in zip(*rows[metric])]
            axes.plot(at, mean, style, color=colour, linewidth=2)
            ends.append((label, mean[-1], colour, True))
        if log_x:
            axes.set_xscale("log")
        svg.name_axes(axes, *labels)
        svg.label_right(figure, axes, ends, length=17)
        return svg.render(figure, name)

    return Figure(name, caption, draw)
