"""A figure of how accuracy goes on, task by task, where some tasks begin with another model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from farfield.study.claims import mean_interval
from farfield.study.figures import MARKERS, PALETTE
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd


def accuracy_by_task(variants: Sequence[str], *, caption: str, name: str) -> Figure:
    """Panels, one per number of tasks; a line per variant through AM after each task, replacements marked.

    Reads ``am_by_task`` and ``replaced`` of `farfield.trials.successive_models.trial`. Intervals of 95 % over seeds.

    >>> accuracy_by_task(["er"], caption="", name="tasks").name
    'tasks'
    """

    def draw(records: pd.DataFrame) -> str | None:
        if "am_by_task" not in records:
            return None
        rows = records.dropna(subset=["am_by_task"])
        # Scenarios of one number of tasks that replace at the same ones share a panel.
        panels = list(rows.groupby(rows["am_by_task"].map(len)))
        if not panels:
            return None
        height = 2.7 * len(panels) + 0.35
        figure, axes = svg.canvas(4.8, height)
        axes.remove()
        drawn = []
        for row, (count, mine) in enumerate(panels):
            axes = figure.add_subplot(len(panels), 1, row + 1)
            axes.patch.set_visible(False)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=svg.INK, labelsize=svg.SMALL, length=3, color=svg.OTHER)
            axes.grid(axis="y", color=svg.FAINT, linewidth=0.6)
            for task in mine["replaced"].iloc[0]:
                axes.axvline(task, color=svg.OTHER, linewidth=1, linestyle=":")
            at, ends = np.arange(1, count + 1), []
            for i, variant in enumerate(variants):
                values = np.array(mine.loc[mine["variant"] == variant, "am_by_task"].tolist(), dtype=float)
                if not len(values):
                    continue
                colour, mean = PALETTE[i % len(PALETTE)], values.mean(0)
                axes.plot(at, mean, color=colour, marker=MARKERS[i % len(MARKERS)], markersize=4, linewidth=1.4)
                if len(values) > 1:
                    low, high = np.array([mean_interval(column)[1:3] for column in values.T]).T
                    axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
                ends.append((variant, float(mean[-1]), colour, False))
            every = -(-count // 8)
            axes.set_xticks(at[::every], [str(t) for t in at[::every]])
            axes.set_ylim(bottom=0)
            svg.name_axes(axes, "task", "AM, %")
            drawn.append((axes, ends))
        figure.subplots_adjust(left=0.12, right=0.68, top=1 - 0.15 / height, bottom=0.5 / height, hspace=0.42)
        for axes, ends in drawn:
            svg.label_right(figure, axes, ends, length=20)
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def of_fewest_tasks(figure: Figure) -> Figure:
    """Return a figure drawn from the trials with the fewest tasks alone: matrices of several sizes have no mean.

    >>> of_fewest_tasks(accuracy_by_task(["er"], caption="", name="tasks")).name
    'tasks'
    """
    return Figure(
        figure.name, figure.caption, lambda records: figure.draw(records[records["tasks"] == records["tasks"].min()])
    )
