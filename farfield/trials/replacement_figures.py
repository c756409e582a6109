"""Figure of what a replaced embedding model gives up on its own gallery for being compatible with the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farfield.study.figures import MARKERS, PALETTE
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd


def trade(metric: str, *, caption: str, name: str = "trade") -> Figure:
    """Panels, one per task: ``new_old`` against ``new_new``, a point per variant and seed, lines at ``old_old`` and ``star_star``.

    **Arguments:** ``metric``: of each pairing, "top1", "top5" or "map".

    >>> trade("map", caption="").name
    'trade'
    """

    def draw(records: pd.DataFrame) -> str | None:
        x, y, old, star = (f"{pair}/{metric}" for pair in ("new_old", "new_new", "old_old", "star_star"))
        if any(column not in records for column in (x, y, old, star)):
            return None
        rows = records.dropna(subset=[x, y])
        tasks, variants = list(dict.fromkeys(rows["task"])), list(dict.fromkeys(rows["variant"]))
        if not tasks:
            return None
        legend = 0.2 * -(-len(variants) // 3)
        height = 2.7 * len(tasks) + 0.45 + legend
        figure, axes = svg.canvas(4.8, height)
        axes.remove()
        for row, task in enumerate(tasks):
            axes = figure.add_subplot(len(tasks), 1, row + 1)
            axes.patch.set_visible(False)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=svg.INK, labelsize=svg.SMALL, length=3, color=svg.OTHER)
            axes.grid(color=svg.FAINT, linewidth=0.6)
            mine = rows[rows["task"] == task]
            for i, variant in enumerate(variants):
                points = mine[mine["variant"] == variant]
                marker = MARKERS[(i // len(PALETTE) + i) % len(MARKERS)]
                axes.plot(
                    points[x],
                    points[y],
                    marker,
                    color=PALETTE[i % len(PALETTE)],
                    markersize=4,
                    alpha=0.8,
                    label=variant,
                )
            axes.axvline(mine[old].mean(), color=svg.BASELINE, linewidth=1)
            axes.axhline(mine[star].mean(), color=svg.BASELINE, linewidth=1)
            axes.set_title(str(task), fontsize=svg.SMALL, color=svg.INK, parse_math=False)
            svg.name_axes(axes, f"{_word(metric)} on the old gallery", f"{_word(metric)} on a new gallery")
        figure.subplots_adjust(
            left=0.15, right=0.97, top=1 - 0.28 / height, bottom=(0.6 + legend) / height, hspace=0.45
        )
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="lower center",
            ncols=3,
            frameon=False,
            fontsize=8,
            labelcolor=svg.INK,
        )
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def _word(metric: str) -> str:
    return {"map": "mAP", "top1": "top-1", "top5": "top-5"}[metric]
