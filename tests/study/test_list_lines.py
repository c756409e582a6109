import re

import pandas as pd
import pytest

from farfield.study.list_lines import list_lines

LINES = {"a": ("easy", "#0072b2", "-"), "b": ("hard", "#d55e00", "--")}
WORDS = {"labels": ("step", "accuracy"), "caption": "", "name": "demo"}


def records(**columns):
    return pd.DataFrame({"cell": ["one", "one", "two"], "seed": [0, 1, 0], **columns})


@pytest.mark.parametrize("x", ["at", (0, 10, 20)])
def test_each_seed_and_the_mean_are_drawn_for_the_records_asked_for(x):
    rows = records(a=[[0, 1, 2]] * 3, b=[[0, 1, 1], [2, 1, 1], [9, 9, 9]], at=[[0, 10, 20]] * 3)
    drawn = list_lines(x, LINES, where={"cell": "one"}, **WORDS).draw(rows)
    for text in ("easy", "hard", "step", "accuracy"):
        assert f">{text}</text>" in drawn
    # Two seeds and their mean, each of the thick lines once.
    assert len(re.findall(r"stroke-width: 2[;\"]", drawn)) == 2
    other = list_lines(x, LINES, where={"cell": "two"}, **WORDS).draw(rows)
    assert other != drawn


def test_without_the_lists_there_is_no_figure():
    rows = records(a=[[0, 1]] * 3)
    assert list_lines((0, 1), LINES, where={"cell": "one"}, **WORDS).draw(rows) is None
    rows = records(a=[[0, 1]] * 3, b=[float("nan")] * 3)
    assert list_lines((0, 1), LINES, where={"cell": "one"}, **WORDS).draw(rows) is None
    assert list_lines("at", LINES, where={"cell": "one"}, **WORDS).draw(records(a=[[0]] * 3, b=[[0]] * 3)) is None


def test_a_logarithmic_axis():
    rows = records(a=[[0, 1, 2]] * 3, b=[[2, 1, 0]] * 3)
    for log_x, share in ((False, 9 / 99), (True, 1 / 2)):
        drawn = list_lines((1, 10, 100), LINES, where={}, log_x=log_x, **WORDS).draw(rows)
        thick = re.findall(r'<path d="([^"]*)"[^>]*stroke-width: 2[;"]', drawn)
        assert len(thick) == 2
        for path in thick:
            x = [float(number) for number in re.findall(r"[ML] (\S+) \S+", path)]
            assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(share, abs=1e-3)
