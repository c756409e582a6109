"""Accuracy task by task: a line per variant, a mark per replacement, a panel per number of tasks."""

import pandas as pd

from farfield.trials.successive_figures import accuracy_by_task, of_fewest_tasks


def records(seeds=2):
    return pd.DataFrame(
        [
            {"variant": v, "seed": s, "am_by_task": [10.0 + s + i, 12.0, 14.0][:n], "replaced": [2], "tasks": n}
            for i, v in enumerate(("er", "simplex-ce"))
            for s in range(seeds)
            for n in (2, 3)
        ]
    )


def test_lines_and_marks():
    figure = accuracy_by_task(["er", "simplex-ce", "absent"], caption="", name="tasks")
    drawn = figure.draw(records())
    few = of_fewest_tasks(figure).draw(records())
    # Two panels, of two and of three tasks.
    assert drawn.count("simplex-ce") == 2 * few.count("simplex-ce") > 0
    assert "absent" not in drawn
    # One seed has no interval: fewer shapes.
    assert len(figure.draw(records(1))) < len(drawn)


def test_nothing_to_draw():
    figure = accuracy_by_task(["er"], caption="", name="tasks")
    assert figure.draw(pd.DataFrame({"variant": ["er"], "seed": [0]})) is None
    assert figure.draw(records().assign(am_by_task=None)) is None
