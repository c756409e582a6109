"""What the shared figures draw, read back from their SVG: how many points, where, and under which names."""

import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from farfield.errors import InputError
from farfield.study import figures

LABELS = ("number of examples", "accuracy")
RECORDS = pd.DataFrame(
    [
        {"task": task, "method": m, "n": n, "seed": s, "far": 0.1 * n + 0.2 * (m == "tram") + 0.01 * s}
        for task in ("a", "b") for m in ("sam", "tram") for n in (1, 2, 4) for s in (0, 1)
    ]
)  # fmt: skip


def texts(svg):
    return [t for t in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def markers(svg):
    """The places of all drawn markers, in the order of drawing; ticks are markers too, and left out."""
    drawing = ElementTree.fromstring(svg)
    ticks = {use for group in drawing.iter() if "tick" in group.get("id", "") for use in group.iter()}
    return [
        (float(use.get("x")), float(use.get("y")))
        for use in drawing.iter("{http://www.w3.org/2000/svg}use")
        if use not in ticks and float(use.get("x", 0)) > 0  # a band is drawn from the origin
    ]


def test_lines_has_a_panel_per_task_a_line_per_value_and_the_names():
    svg = figures.lines("n", "far", "method", labels=LABELS, caption="").draw(RECORDS)
    found = texts(svg)
    assert {"a", "b", "sam", "tram"} <= set(found)
    assert found.count("number of examples") == 2


def test_lines_draws_the_mean_over_seeds():
    """Equal spacing of the means gives equal spacing of the points: 0.1 and 0.2 above each other for n = 1, 2, 4."""
    rows = RECORDS[(RECORDS["task"] == "a") & (RECORDS["method"] == "sam")].drop(columns="task")
    points = markers(figures.lines("n", "far", labels=LABELS, caption="").draw(rows))
    (x1, y1), (x2, y2), (x4, y4) = points
    assert (x4 - x2) == pytest.approx(2 * (x2 - x1), rel=1e-3)
    assert (y2 - y4) == pytest.approx(2 * (y1 - y2), rel=1e-3)


def test_bars_has_a_row_per_value_and_a_key_for_several_metrics():
    rows = RECORDS.assign(near=1.0)
    svg = figures.bars({"far": "elsewhere", "near": "here"}, "method", label="accuracy", caption="").draw(rows)
    assert {"sam", "tram", "elsewhere", "here", "accuracy"} <= set(texts(svg))


def test_scatter_draws_a_point_per_record():
    few = figures.scatter("n", "far", "method", labels=LABELS, caption="").draw(RECORDS.iloc[:12])
    more = figures.scatter("n", "far", "method", labels=LABELS, caption="").draw(RECORDS)
    assert len(markers(more)) - len(markers(few)) == len(RECORDS) - 12


def test_heat_map_marks_the_best_cell():
    cells = pd.DataFrame(
        [{"l": low, "u": up, "seed": 0, "acc": float(low == 2 and up == 1)} for low in (0, 1, 2) for up in (0, 1)]
    )
    x, y = markers(figures.heat_map("l", "u", "acc", labels=LABELS, caption="").draw(cells))[-1]
    cells["acc"] = ((cells["l"] == 0) & (cells["u"] == 0)).astype(float)
    x0, y0 = markers(figures.heat_map("l", "u", "acc", labels=LABELS, caption="").draw(cells))[-1]
    assert x > x0 and y < y0  # SVG counts downwards


@pytest.mark.parametrize(
    "figure",
    [
        figures.lines("n", "absent", labels=LABELS, caption=""),
        figures.scatter("absent", "far", labels=LABELS, caption=""),
        figures.bars({"absent": "x"}, "method", label="", caption=""),
        figures.heat_map("n", "seed", "absent", labels=LABELS, caption=""),
    ],
)
def test_a_metric_that_no_trial_has_draws_nothing(figure):
    assert figure.draw(RECORDS) is None


def test_where_narrows_the_records_and_refuses_an_unknown_axis():
    one = figures.lines("n", "far", "method", labels=LABELS, caption="", where={"method": "sam"}).draw(RECORDS)
    assert "tram" not in texts(one)
    with pytest.raises(InputError, match="no column 'size'"):
        figures.lines("n", "far", labels=LABELS, caption="", where={"size": 1}).draw(RECORDS)


def test_one_seed_is_drawn_without_an_interval():
    assert figures.lines("n", "far", "method", labels=LABELS, caption="").draw(RECORDS[RECORDS["seed"] == 0])


def test_a_legend_of_long_texts_takes_fewer_columns_and_names_every_line():
    records = pd.DataFrame(
        [
            {"seed": seed, "task": task, "x": x, "y": x + seed, "way": f"{way} with a name as long as this one"}
            for seed in (0, 1)
            for x in (1, 2)
            # The first panel lacks a way.
            for task, ways in (("one", "ab"), ("two", "abc"))
            for way in ways
        ]
    )
    drawn = figures.lines("x", "y", "way", labels=("x", "y"), caption="").draw(records)
    found = ElementTree.fromstring(drawn)
    keys = [t for t in found.iter("{http://www.w3.org/2000/svg}text") if "with a name" in (t.text or "")]
    assert sorted(t.text[0] for t in keys) == ["a", "b", "c"]
    # One below the other.
    assert len({t.get("x") for t in keys}) == 1 and len({t.get("y") for t in keys}) == 3


def test_a_key_of_long_texts_takes_several_lines_within_the_figure():
    records = pd.DataFrame([{"seed": s, "way": w, "a": 1.0, "b": 2.0, "c": 3.0} for s in (0, 1) for w in "xy"])
    names = {m: f"{m} measured with some care" for m in "abc"}
    drawn = ElementTree.fromstring(figures.bars(names, "way", label="a", caption="").draw(records))
    keys = [t for t in drawn.iter("{http://www.w3.org/2000/svg}text") if "some care" in (t.text or "")]
    assert len(keys) == 3 and len({t.get("y") for t in keys}) > 1
