"""Figures of a study of layers that are told from their dissimilarities, drawn from what its trials keep beside numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.study.figures import heat_map, scatter
from farfield.study.study import Figure

if TYPE_CHECKING:
    import pandas as pd


def window_map(*, caption: str, name: str = "windows") -> Figure:
    """The accuracy of every window (l, u) of the grid, the best marked, from the trials' ``grid``."""
    labels = ("lower quantile l", "upper quantile u")
    figure = heat_map("l", "u", "accuracy", labels=labels, caption=caption, name=name)
    return _redrawn(figure, "grid", lambda grid: dict(zip(("l", "u", "accuracy"), grid[0].T)))


def matrices_in_the_plane(*, transformed: bool, caption: str, name: str) -> Figure:
    """Where the matrices of all layers and networks lie, a colour per layer, from the trials' ``points``.

    **Arguments:** ``transformed``: those under the best window, moved, turned and scaled to fit the raw ones (Procrustes).
    """
    labels = ("first coordinate", "second coordinate")
    figure = scatter("x", "y", "layer", labels=labels, caption=caption, name=name)

    def rows(points: np.ndarray) -> dict[str, Any]:
        from scipy.spatial import procrustes

        both = procrustes(points[..., :2].reshape(-1, 2), points[..., 2:].reshape(-1, 2))
        x, y = both[1 if transformed else 0].T
        return {"x": x, "y": y, "layer": [f"layer {i + 1}" for i in range(points.shape[1])] * len(points)}

    return _redrawn(figure, "points", rows)


def _redrawn(figure: Figure, column: str, rows: Callable[[np.ndarray], Mapping[str, Any]]) -> Figure:
    """Return a figure drawn from the arrays in a column of the records: ``rows`` makes new records of them."""

    def draw(records: pd.DataFrame) -> str | None:
        import pandas as pd

        if column not in records:
            return None
        # Every network once: without noise all places of the noise are the same.
        found = records.dropna(subset=[column]).drop_duplicates("seed")[column]
        return figure.draw(pd.DataFrame(rows(np.array(found.tolist())))) if len(found) else None

    return Figure(figure.name, figure.caption, draw)
