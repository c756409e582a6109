"""A figure with a small panel for each of several metrics, against the size of what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.claims import mean_interval
from farfield.study.figures import MARKERS, PALETTE
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd


def metric_panels(
    prefix: str,
    x: str,
    along: str,
    values: Mapping[str, str],
    *,
    labels: tuple[str, str],
    caption: str,
    name: str,
    scale: float = 1.0,
    log_x: bool = False,
) -> Figure:
    """Panels two by two, one for each number of a nested metric: its mean at each ``x``, 95 % intervals over seeds, a line per family.

    **Arguments:**
    - ``prefix``: of the nested metric, such as "accuracy" for ``accuracy/near`` and ``accuracy/far``.
    - ``x``: the metric or axis of the horizontal axis; ``along``: a column of names, of which ``values`` are drawn, name -> label.
    - ``labels``: of both axes, with units; ``scale``: factor on the metric (100 for percent).

    >>> metric_panels("accuracy", "n", "family", {"a": "a"}, labels=("n", ""), caption="", name="size").name
    'size'
    """

    def draw(records: pd.DataFrame) -> str | None:
        metrics = [c for c in records if c.startswith(f"{prefix}/")]
        if not metrics or along not in records or x not in records:
            return None
        rows = records[records[along].isin(values)].dropna(subset=[x])
        metrics = [m for m in metrics if rows[m].notna().any()]
        if not metrics:
            return None
        figure, panels = _panels(len(metrics))
        for axes, metric in zip(panels, metrics):
            for i, (value, label) in enumerate(values.items()):
                mine = rows[rows[along] == value].dropna(subset=[metric])
                points = [(at, *_ends(scale * group[metric])) for at, group in mine.groupby(x)]
                if points:
                    at, mean, low, high = np.array(points, dtype=float).T
                    error = [mean - low, high - mean]
                    axes.errorbar(
                        at, mean, yerr=error, fmt=f"-{MARKERS[i]}", color=PALETTE[i], markersize=4, linewidth=1.2, label=label
                    )  # fmt: skip
            if log_x:
                _log_scale(axes)
            axes.set_title(metric.removeprefix(f"{prefix}/"), fontsize=svg.SMALL, color=svg.INK, parse_math=False)
        for axes in panels[-2:]:
            axes.set_xlabel(labels[0], fontsize=svg.SMALL, color=svg.INK, parse_math=False)
        for axes in panels[::2]:
            axes.set_ylabel(labels[1], fontsize=svg.SMALL, color=svg.INK, parse_math=False)
        # A family may lie in no panel of the first, so that all are asked.
        keys = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels())}
        figure.legend(
            keys.values(), keys, loc="lower center", ncols=2, frameon=False, fontsize=svg.SMALL, labelcolor=svg.INK
        )
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def _log_scale(axes: Any) -> None:
    """Make the horizontal axis logarithmic, with few plain numbers under it: a small panel has no room for powers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _ends(values: pd.Series) -> tuple[float, float, float]:
    return mean_interval(values)[:3] if len(values) > 1 else (float(values.iloc[0]),) * 3


def _panels(n: int) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    rows = -(-n // 2)
    height = 1.9 * rows + 1.0
    figure = Canvas(figsize=(6.0, height))
    FigureCanvasSVG(figure)
    panels = [figure.add_subplot(rows, 2, i + 1) for i in range(n)]
    figure.subplots_adjust(left=0.1, right=0.98, top=1 - 0.25 / height, bottom=0.95 / height, hspace=0.45, wspace=0.2)
    figure.patch.set_visible(False)
    for axes in panels:
        svg.unframe(axes)
    return figure, panels
