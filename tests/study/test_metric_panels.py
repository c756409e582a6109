"""The panels of several metrics against a size."""

import pandas as pd

from farfield.study.metric_panels import metric_panels

FAMILIES = {"cat": "side by side", "distill": "in one"}


def figure():
    return metric_panels(
        "accuracy", "n", "family", FAMILIES, labels=("networks", "accuracy, %"), caption="", name="size", log_x=True, scale=100
    )  # fmt: skip


def records(**more):
    return pd.DataFrame(
        [
            {"family": f, "n": n, "seed": s, "accuracy/near": 0.9, "accuracy/far": 0.1 * n + 0.01 * s, **more}
            for f, sizes in (("cat", (1, 2, 5)), ("distill", (1,)), ("other", (1,)))
            for n in sizes
            for s in (0, 1)
        ]
    )


def test_there_is_a_panel_for_each_metric_and_a_line_for_each_family_that_is_named():
    drawn = figure().draw(records())
    for word in ("near", "far", "side by side", "in one", "networks", "accuracy, %"):
        assert f">{word}<" in drawn
    assert ">other<" not in drawn
    assert figure().draw(records()) == drawn


def test_a_single_seed_is_drawn_and_nothing_is_not():
    assert ">far<" in figure().draw(records().query("seed == 0"))
    assert figure().draw(records().drop(columns=["accuracy/near", "accuracy/far"])) is None
    assert figure().draw(records().query("family == 'other'")) is None
    assert ">near<" not in figure().draw(records(**{"accuracy/near": None}))
