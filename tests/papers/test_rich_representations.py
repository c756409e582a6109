"""The study of rich representations: its smoke preset, and its full preset's way on encoders that need no download."""

import pytest

from farfield.papers.rich_representations import FULL, SETTINGS, study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_smoke(tmp_path):
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 13 and all(c["n"] == 2 for c in claims)
    rows = {row["representation"]: row for row in finished.results["table"]}
    # The sizes are those that were asked for.
    assert rows["cat-10"]["parameters"]["mean"] == 10 * rows["single"]["parameters"]["mean"]
    assert rows["large-10"]["parameters"]["mean"] == pytest.approx(rows["cat-10"]["parameters"]["mean"], rel=0.05)
    assert rows["distill-5"]["parameters"]["mean"] == rows["single"]["parameters"]["mean"]
    # What a method does not define is absent, not 0.
    assert rows["bonsai-2"]["far"] is None and rows["wide-10"]["colour"] is None
    assert rows["cat-10"]["colour_variance"] is None and rows["cat-5"]["colour_variance"] is not None
    drawn = {f.rpartition("/")[2] for f in finished.results["figures"]}
    assert drawn == {"size.svg", "methods.svg", "colour.svg"}


def test_the_full_preset_probes_named_encoders():
    encoders = ["mlp?hidden=8&depth=1"] * 3
    point = {**SETTINGS, **FULL, "encoder_models": encoders, "wide_models": ["mlp?hidden=24&depth=1"], "task": "digits"}
    point |= {"probe_epochs": 3, "decays": [1e-3, 1e-4], "device": "cpu"}
    found = {m: study.trial({**point, "representation": m}, 0) for m in ("single", "cat-3", "wide")}
    assert [found[m]["features"] for m in found] == [8, 24, 24]
    # Three times the random features tell more.
    assert found["cat-3"]["far"] > found["single"]["far"] + 0.05 > 0.3
    assert found["cat-3"]["source"] is None


def test_the_full_preset_names_what_it_needs():
    found = {need.name: need for need in needs(study, "full", {"task": ["hub/cifar100"]})}
    assert {"hub/cifar100", "hf", "vision", "timm:resnet50.a1_in1k", "timm:wide_resnet50_2.tv_in1k"} <= set(found)
    assert all(need.state in ("here", "download", "missing") for need in found.values())
