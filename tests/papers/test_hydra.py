"""The study of arbitrary pairs, end to end at its smoke preset."""

import pytest

from farfield.papers.hydra import study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE
from farfield.trials.arbitrary_pairs import WAYS


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == len(study.claims) == 10
    assert all(c["n"] == 2 and c["effect"] is not None for c in claims)
    rows = {row["way"]: row for row in finished.results["table"]}
    assert set(rows) == set(WAYS)
    # The same pairs and candidates for every way.
    assert len({row["candidates"]["mean"] for row in rows.values()}) == 1
    assert rows["simclr"]["subspace_gated"]["mean"] > 0.4 and rows["hydra"]["subspace_gated"] is None
    drawn = {f.rpartition("/")[2] for f in finished.results["figures"]}
    assert drawn == {f"{f.name}.svg" for f in study.figures}


def test_presets_are_the_papers():
    points = {p["task"]: p for p in (t.point for t in study.trials("small", seeds=1))}
    assert {task: p["classes"] for task, p in points.items()} == {"characters": 150, "digits": 7, "glyphs": 48}
    assert {p["temperature"] for p in points.values()} == {0.2}
    full = study.trials("full")[0].point
    assert full["steps"] == pytest.approx(200 * 50_000 / full["batch_size"], abs=1)
    assert len(full["transfer_tasks"]) == 6 and full["projection"] == 3


def test_the_full_preset_names_what_it_needs():
    found = {need.name for need in needs(study, "full")}
    assert {"hub/cifar100", "hf", "hf:facebook/dino-vits16", *study.preset("full").settings["transfer_tasks"]} <= found
    assert all(need.state == "here" for need in needs(study, "smoke"))
