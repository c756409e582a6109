"""The study of basis transformation: its smoke preset, and what the full preset names."""

import pytest

from farfield import tasks
from farfield.papers.bt2 import study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


@pytest.mark.needs_data("omniglot-small")
def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 12 and all(c["n"] == 2 and c["effect"] is not None for c in claims[:9])
    # A chain of updates is in the full preset alone.
    assert all(c["verdict"] == "undecided" and c["n"] == 0 for c in claims[9:])
    table = {row["variant"]: row for row in finished.results["table"]}
    assert table["concatenation"]["new_old/map"] == table["concatenation"]["old_old/map"]
    assert table["independent"]["new_new/top1"] == table["independent"]["star_star/top1"]
    assert table["bt2"]["error"]["mean"] < 1e-5
    drawn = {f.rpartition("/")[2] for f in finished.results["figures"]}
    assert drawn == {f"{f.name}.svg" for f in study.figures}


def test_the_full_preset_names_what_it_needs():
    found = {need.name for need in needs(study, "full")}
    assert {"hf", "hub/cifar100", "hf:google/vit-base-patch16-224-in21k?tune=probe"} <= found
    assert set(study.preset("full").grid["task"]) <= {*tasks.names()}
    lines = {t.point["update"]: len(t.point["upgrade_models"]) for t in study.trials("full", seeds=1)}
    assert lines == {"pair": 2, "architecture": 2, "chain": 4}
