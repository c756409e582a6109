"""Figures of studies of augmentations: accuracy by their strength, and what they do to images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.claims import mean_interval, only
from farfield.study.figures import MARKERS, PALETTE
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = 5  # images shown of each way


def by_strength(
    metrics: Mapping[str, str],
    strengths: Mapping[str, float],
    *,
    along: str,
    baseline: str,
    labels: tuple[str, str],
    caption: str,
    where: Mapping[str, Any] | None = None,
    name: str = "strength",
) -> Figure:
    """Metrics against the strength of an augmentation, 95 % bands over seeds, each with the baseline's mean as a dotted line.

    **Arguments:** ``metrics``: name in the records -> its name in the figure; ``strengths``: value of the axis ``along`` -> strength, among them
    the ``baseline``.
    """

    def draw(records: pd.DataFrame) -> str | None:
        rows = only(records, where)
        rows = rows[rows[along].isin(strengths)]
        found = [m for m in metrics if m in rows and rows[m].notna().any()]
        if rows[along].nunique() < 2 or not found:
            return None
        figure, axes = _canvas(4.8, 3.2)
        for i, metric in enumerate(found):
            points = []
            for value, strength in sorted(strengths.items(), key=lambda item: item[1]):
                per_seed = rows[rows[along] == value].groupby("seed")[metric].mean().dropna()
                if len(per_seed):
                    one = float(per_seed.mean())
                    points.append((strength, *(mean_interval(per_seed)[:3] if len(per_seed) > 1 else (one,) * 3)))
                if value == baseline and len(per_seed):
                    axes.axhline(per_seed.mean(), color=PALETTE[i], linewidth=1, linestyle=":")
            at, mean, low, high = np.array(points).T
            axes.plot(at, mean, marker=MARKERS[i], markersize=4, color=PALETTE[i], label=metrics[metric])
            axes.fill_between(at, low, high, color=PALETTE[i], alpha=0.15, linewidth=0)
        svg.name_axes(axes, *labels)
        figure.legend(
            loc="lower center", ncols=3, frameon=False, fontsize=svg.SMALL, labelcolor=svg.INK, handlelength=1.2
        )
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def augmented_images(
    metric: str, values: Sequence[str], *, along: str, caption: str, name: str = "augmented"
) -> Figure:
    """A row of the first seed's images for each value of an axis: the same images, augmented in another way.

    **Arguments:** ``metric``: a nested list that trials report, images by rows by pixels by channels (1 or 3), from 0 to 1.
    """

    def draw(records: pd.DataFrame) -> str | None:
        if metric not in records:
            return None
        rows = records[records["seed"] == records["seed"].min()]
        shown = {v: np.array(m[metric].iloc[0]) for v in values if len(m := rows[rows[along] == v])}
        if not shown:
            return None
        columns = min(COLUMNS, max(len(images) for images in shown.values()))
        figure, axes = _canvas(4.8, 0.66 * len(shown) + 0.1, left=0.27, bottom=0.02)
        for row, images in enumerate(shown.values()):
            for column, image in enumerate(images[:columns]):
                _draw_pixels(axes, image, column, row)
        axes.set(xlim=(0, columns), ylim=(len(shown), 0), xticks=[])
        axes.set_yticks([row + 0.5 for row in range(len(shown))], list(shown), parse_math=False)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def _draw_pixels(axes: Any, image: np.ndarray, column: int, row: int) -> None:
    """Draw an image (height, width, 1 or 3) as shapes, as the page shows no embedded pictures: one for each of its colours."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    height, width, channels = image.shape
    levels = np.round(np.repeat(image, 3, 2) if channels == 1 else image, 1)
    x, y = (np.linspace(at + 0.04, at + 0.96, n + 1) for at, n in ((column, width), (row, height)))
    # Black first, under everything; then the runs of one colour along a line.
    rectangles: dict[tuple[float, ...], list[np.ndarray]] = {(0.0, 0.0, 0.0): [_corners(x[0], x[-1], y[0], y[-1])]}
    for i, line in enumerate(levels):
        ends = np.flatnonzero((np.diff(line, axis=0) != 0).any(1)) + 1
        for start, end in zip([0, *ends], [*ends, width]):
            colour = tuple(float(v) for v in line[start])
            if any(colour):
                rectangles.setdefault(colour, []).append(_corners(x[start], x[end], y[i], y[i + 1]))
    for colour, corners in rectangles.items():
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(corners)
        axes.add_patch(
            PathPatch(Path(np.concatenate(corners), codes), facecolor=colour, edgecolor=colour, linewidth=0.2)
        )


def _corners(left: float, right: float, top: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])


def _canvas(width: float, height: float, *, left: float = 0.14, bottom: float = 0.27) -> tuple[Any, Any]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(width, height))
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    figure.subplots_adjust(left=left, right=0.98, top=0.97, bottom=bottom)
    figure.patch.set_visible(False)
    svg.unframe(axes)
    return figure, axes
