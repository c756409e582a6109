"""Figures by size: a point for each size that both metrics have, a panel for each task."""

import pandas as pd

from farfield.trials.nested_figures import by_size

FIGURE = by_size(
    "dims", "accuracy", {"mrl": 0, "ff": 2}, labels=("dimensions", "accuracy, %"), caption="", name="sizes", scale=100
)


def records():
    rows = []
    for task in ("a", "b"):
        for way in ("mrl", "ff", "other"):
            for seed in (0, 1):
                row = {"task": task, "way": way, "seed": seed, "accuracy/3": None, "dims/3": 3.0}
                row |= {f"accuracy/{m}": 0.1 * m + 0.01 * seed for m in (2, 4)} | {
                    f"dims/{m}": float(m) for m in (2, 4)
                }
                rows.append(row)
    return pd.DataFrame(rows)


def test_points_are_means_over_seeds_at_sizes_that_both_metrics_have():
    from farfield.trials.nested_figures import _points

    mine = records().query("task == 'a' and way == 'mrl'")
    found = _points(mine, "dims", "accuracy")
    assert [round(p[0]) for p in found] == [2, 4]
    assert [round(p[1], 4) for p in found] == [0.205, 0.405]
    assert all(low < mean < high for _, mean, low, high in found)
    single = _points(mine[mine["seed"] == 0], "dims", "accuracy")
    assert [p[1:] for p in single] == [(0.2, 0.2, 0.2), (0.4, 0.4, 0.4)]


def test_a_panel_per_task_and_a_line_per_way_asked_for():
    drawn = FIGURE.draw(records())
    assert drawn.count(">mrl<") == drawn.count(">ff<") == 2
    assert ">other<" not in drawn and ">a<" in drawn and ">b<" in drawn
    assert "accuracy, %" in drawn


def test_without_the_ways_there_is_nothing_to_draw():
    assert FIGURE.draw(records().query("way == 'other'")) is None
