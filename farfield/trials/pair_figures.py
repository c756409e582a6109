"""A figure of classes as a tree, joined by how alike their gates are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.claims import only
from farfield.study.figures import PALETTE
from farfield.study.study import Figure
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd

PITCH = 10  # points between leaves


def class_tree(
    metric: str, names: str, *, where: Mapping[str, Any], label: str, caption: str, name: str = "classes"
) -> Figure:
    """The classes of the first seed's trial as a tree: the most similar are joined first, by mean similarity (average linkage).

    **Arguments:** ``metric``: a square list of rows, similarities up to 1; ``names``: a list with the words of each
    class, one column each, a colour for each word of a column; ``where``: use only records with these values;
    ``label``: of the horizontal axis, 1 minus similarity.

    >>> class_tree("relations", "class_names", where={}, label="", caption="").name
    'classes'
    """

    def draw(records: pd.DataFrame) -> str | None:
        if metric not in records or names not in records:
            return None
        rows = only(records, where).dropna(subset=[metric, names])
        if rows.empty:
            return None
        row = rows.sort_values("seed").iloc[0]
        words = [list(w) for w in row[names]]
        if len(words) < 2:
            return None
        from scipy.cluster.hierarchy import dendrogram, linkage
        from scipy.spatial.distance import squareform

        distance = 1 - np.array(row[metric], dtype=float)
        # Rounding must not leave the two halves, or the diagonal, unequal.
        distance = np.clip((distance + distance.T) / 2, 0, None)
        np.fill_diagonal(distance, 0)
        tree = dendrogram(linkage(squareform(distance), "average"), no_plot=True)
        columns = list(zip(*words))
        widths = [svg.text_width(column, 8) + 10 for column in columns]
        left = sum(widths) + 12
        figure, axes = svg.canvas(4.8, (PITCH * len(words) + 50) / 72)
        svg.margins(figure, left=left, right=12, top=8, bottom=38)
        for along, across in zip(tree["dcoord"], tree["icoord"]):
            axes.plot(along, across, color=svg.OTHER, linewidth=1)
        for at, leaf in enumerate(tree["leaves"]):
            offset = -left + 8
            for column, width in zip(columns, widths):
                colour = PALETTE[sorted(set(column)).index(column[leaf]) % len(PALETTE)]
                axes.annotate(
                    column[leaf],
                    # Where the tree puts its leaves.
                    xy=(0, 10 * at + 5),
                    xycoords=("axes fraction", "data"),
                    xytext=(offset, 0),
                    textcoords="offset points",
                    fontsize=8,
                    color=colour,
                    va="center_baseline",
                    parse_math=False,
                )
                offset += width
        axes.set(yticks=[], ylim=(10 * len(words), 0))
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        svg.name_axes(axes, label, "")
        return svg.render(figure, name)

    return Figure(name, caption, draw)
