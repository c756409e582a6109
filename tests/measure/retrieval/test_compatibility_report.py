"""Old, new and independent vectors compared: the released code's numbers, closed forms of the gain and the criterion."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import (
    Compatibility,
    CompatibilityReport,
    Retrieval,
    cmc,
    compatibility_report,
    retrieval_map,
    update_gain,
)
from farfield.measure.retrieval import compatibility_report as module_of_the_function

ORACLE = np.load(Path(__file__).parents[2] / "data" / "bt2.npz", allow_pickle=False)
OLD, NEW, Y = ORACLE["ret_old"], ORACLE["ret_new"], ORACLE["ret_labels"]


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_the_released_codes_numbers(convert):
    report = compatibility_report(convert(OLD), convert(NEW), {"new": convert(NEW)}, convert(Y))
    assert isinstance(report, CompatibilityReport) and isinstance(report.candidates["new"], Compatibility)
    for found, name in (
        (report.old_old, "oldold"),
        (report.candidates["new"].new_old, "newold"),
        (report.candidates["new"].new_new, "newnew"),
    ):
        top = ORACLE[f"cmc_{name}"]
        assert (found.top1, found.top5) == pytest.approx((top[0], top[4]))
        assert found.map == pytest.approx(float(ORACLE[f"map_{name}"]), abs=1e-6)
    assert report.star_star == report.candidates["new"].new_new


def test_it_is_what_the_measures_say_one_by_one():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.integers(5, size=40)
    report = compatibility_report(x, x[:, :4], {"c": x[:, :3]}, y)
    dist = 1 - x[:, :3] @ x[:, :3].T
    assert report.candidates["c"].new_old.map == pytest.approx(retrieval_map(dist, y, y, exclude_self=True))
    assert report.candidates["c"].new_old.top5 == pytest.approx(cmc(dist, y, y, 5, exclude_self=True)[4])


def test_the_gain():
    assert update_gain(0.2, 0.2, 0.6) == 0 and update_gain(0.2, 0.6, 0.6) == pytest.approx(1)
    assert update_gain(0.2, 0.1, 0.6) == pytest.approx(-0.25)
    assert update_gain(0.6, 0.6, 0.6) is None and update_gain(0.7, 0.6, 0.6) is None


def test_the_criterion():
    y = np.repeat(np.arange(4), 5)
    star = np.eye(4)[y]
    # The old model takes the first item of each class for one of the class before.
    old = star.copy()
    old[::5] = np.roll(star[::5], -1, axis=1)
    report = compatibility_report(old, star, {"old": old, "new": star, "none": np.roll(star, 1, axis=1)}, y)
    assert report.star_star.map == 1 and report.old_old.map < 1
    # As good as the old one is not better.
    assert not report.candidates["old"].satisfied and report.candidates["old"].gain_map == 0
    assert report.candidates["new"].satisfied and 0 < report.candidates["new"].gain_map < 1
    assert not report.candidates["none"].satisfied and report.candidates["none"].gain_map < 0
    # Better on the old gallery, but more than a point worse on its own.
    worse = star.copy()
    worse[0] = np.eye(4)[1]
    found = {
        tolerance: compatibility_report(old, star, {"worse": worse}, y, tolerance).candidates["worse"]
        for tolerance in (0.01, 0.5)
    }
    assert found[0.01].new_old.map > report.old_old.map
    assert not found[0.01].satisfied and found[0.5].satisfied


def test_the_table_has_a_row_for_each_pairing():
    report = compatibility_report(OLD, NEW, {"a": NEW, "b": OLD}, Y)
    rows = report.table()
    assert [(r["queries"], r["gallery"]) for r in rows] == [
        ("old", "old"), ("new*", "new*"), ("a", "old"), ("a", "a"), ("b", "old"), ("b", "b"),
    ]  # fmt: skip
    assert (
        rows[2]["gain_map"] == report.candidates["a"].gain_map
        and rows[2]["satisfied"] == report.candidates["a"].satisfied
    )
    assert Retrieval(rows[0]["top1"], rows[0]["top5"], rows[0]["map"]) == report.old_old


def test_blocks_make_no_difference(monkeypatch):
    whole = compatibility_report(OLD, NEW, {"new": NEW}, Y)
    monkeypatch.setattr(sys.modules[module_of_the_function.__module__], "BLOCK", 70)
    assert compatibility_report(OLD, NEW, {"new": NEW}, Y) == whole


def test_input_that_does_not_fit():
    with pytest.raises(InputError, match="candidates is empty"):
        compatibility_report(OLD, NEW, {}, Y)
    with pytest.raises(InputError, match="tolerance is -1"):
        compatibility_report(OLD, NEW, {"new": NEW}, Y, tolerance=-1)
    with pytest.raises(InputError, match="old has 30 rows but the candidate mine has 3"):
        compatibility_report(OLD, NEW, {"mine": NEW[:3]}, Y)
    bad = NEW.copy()
    bad[4, 0] = np.nan
    with pytest.raises(InputError, match="mine holds a value that is not finite, first in row 4"):
        compatibility_report(OLD, NEW, {"mine": bad}, Y)
