"""The study of LEVI, end to end at its smoke preset."""

import pytest

from farfield.papers.levi import FULL, study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE
from farfield.trials.joined_layers import WAYS
from farfield.trials.pretrained_elsewhere import CHARACTERS, DIGITS


@pytest.mark.needs_data("mnist-10k")
@pytest.mark.needs_data("omniglot-small")
def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 8
    # Nothing was measured at 300 rows.
    assert [c["n"] for c in claims] == [2, 0, 2, 2, 2, 2, 2, 2]
    # By construction, whatever was learned.
    assert claims[6]["verdict"] == "holds" and claims[6]["effect"] < 0
    assert finished.results["figures"] == [f"levi/{name}.svg" for name in ("near-far", "lines", "reliance", "time")]
    reliance = (tmp_path / "levi" / "reliance.svg").read_text()
    assert all(f">{text}</text>" in reliance for text in (*WAYS, "fine-tuning's cue"))
    assert {row["task"] for row in finished.results["table"]} == {DIGITS, CHARACTERS}


def test_the_full_preset_can_be_checked_without_running_it():
    found = {need.name: need for need in needs(study, "full")}
    assert {*FULL, *FULL.values()} <= set(found)
    assert all(found[name].state in ("here", "download", "missing") for name in (*FULL, *FULL.values()))
    assert found["imagenet-shifts"].state != "missing" and "ILSVRC" in found["imagenet-shifts"].detail
