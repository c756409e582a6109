"""Figures of lists that trials report at points of their own, such as accuracies at some epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from farfield.study.claims import only
from farfield.study.figures import lines
from farfield.study.study import Figure

if TYPE_CHECKING:
    import pandas as pd


def unrolled(
    x: str,
    curves: Mapping[str, str],
    along: str,
    *,
    labels: tuple[str, str],
    caption: str,
    name: str,
    form: str = "{}",
    where: Mapping[str, Any] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """Panels, one per task: lists against the list ``x`` of the same trial, mean over seeds with 95 % intervals.

    **Arguments:** ``curves``: metric (a list) -> what its lines are called after the value of the axis or metric ``along``;
    ``form``: how its values are written, for `str.format`; ``where``: use only records with these values. Entries that are
    None are left out, and so are those at 0 on a logarithmic scale.

    >>> unrolled("epoch", {"loss": ""}, "rate", labels=("epoch", ""), caption="", name="loss").name
    'loss'
    """
    figure = lines(x, "value", "line", labels=labels, caption=caption, name=name, log_x=log_x, log_y=log_y)

    def draw(records: pd.DataFrame) -> str | None:
        import pandas as pd

        needed = [x, along, *curves]
        if any(column not in records for column in needed):
            return None
        found = []
        for row in only(records, where).dropna(subset=[x, along]).to_dict("records"):
            for metric, label in curves.items():
                for at, value in zip(row[x], row[metric]):
                    if value is not None and (at > 0 or not log_x) and (value > 0 or not log_y):
                        line = form.format(row[along]) + label
                        found.append(
                            {"task": row.get("task"), "seed": row["seed"], "line": line, x: at, "value": float(value)}
                        )
        return figure.draw(pd.DataFrame(found)) if found else None

    return Figure(name, caption, draw)
