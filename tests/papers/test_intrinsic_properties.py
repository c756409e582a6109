"""The study of intrinsic properties, end to end at its smoke preset."""

import pytest

from farfield.papers.intrinsic_properties import MARGINS, MEDICAL, NATURAL, PAIRS, study
from farfield.study.execute import execute


@pytest.mark.needs_data("mnist-10k")
def test_smoke(tmp_path):
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 10
    assert all(c["n"] == 2 and c["effect"] is not None for c in claims)
    # What does not hang on training: the faintest patch and the smallest margin have the sharpest labels.
    sharpness = {row["data"]: row["sharpness"]["mean"] for row in finished.results["table"]}
    assert sharpness[MARGINS[0]] > sharpness[MARGINS[-1]]
    assert sharpness["mnist?patch=0.3"] > sharpness["mnist?patch=1"]
    assert len(finished.results["figures"]) == 5
    assert all((tmp_path / figure).stat().st_size > 2000 for figure in finished.results["figures"])


@pytest.mark.needs_data("mnist-10k")
def test_a_users_data_takes_the_place_of_the_studys(tmp_path):
    finished = execute(study, preset="smoke", replaced={"data": ["digits"]}, out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    assert [row["data"] for row in finished.results["table"]] == ["digits"]
    # A single data set has nothing to correlate, and says so.
    assert finished.results["claims"][0]["verdict"] == "undecided"


def test_every_pair_is_another_and_the_full_preset_names_its_data():
    assert len(set(PAIRS)) == 20
    assert study.axes("full")["task"][:3] == list(NATURAL) and set(MEDICAL) <= set(study.axes("full")["task"])
