import math

import pandas as pd

from farfield.study.unrolled import unrolled


def draw(records, **settings):
    words = {"labels": ("epoch", "accuracy"), "caption": "", "name": "curves"}
    figure = unrolled("epoch", {"near": ", near", "far": ", far"}, "noise", **words, **settings)
    return figure.draw(pd.DataFrame(records))


def record(task="digits", noise=0.5, seed=0, **changed):
    lists = {"epoch": [0, 1, 4], "near": [0.1, 0.5, 0.7], "far": [0.2, None, 0.4]}
    return {"task": task, "noise": noise, "seed": seed, **lists, **changed}


def test_a_line_for_each_value_and_list_and_a_panel_for_each_task():
    drawn = draw([record(t, n, s) for t in ("digits", "wine") for n in (0.0, 0.5) for s in (0, 1)], form="{:.0%} noise")
    for text in ("digits", "wine", "0% noise, near", "0% noise, far", "50% noise, near", "50% noise, far"):
        assert text in drawn


def test_only_what_was_asked_for_and_nothing_of_nothing():
    assert "wine" not in draw([record(), record("wine")], where={"task": "digits"})
    assert draw([{"task": "digits", "noise": 0.5, "seed": 0}]) is None
    assert draw([record(epoch=math.nan)]) is None


def test_zeros_are_left_out_on_logarithmic_scales():
    only_zero = record(epoch=[0], near=[0.5], far=[0.5])
    assert draw([only_zero], log_x=True) is None and draw([only_zero]) is not None
    assert draw([record(near=[0] * 3, far=[0] * 3)], log_y=True) is None
