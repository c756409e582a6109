"""The study of simplicity bias, end to end at its smoke preset."""

from farfield.papers.simplicity_bias import DATA, SETTINGS, TINY, study
from farfield.study.execute import execute
from farfield.study.stage import VARIABLE


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    assert len(finished.results["claims"]) == 12
    # The last six but those on images and MS-(5,7) are measured here.
    assert [c["n"] for c in finished.results["claims"]] == [2, 2, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2]
    assert len(finished.results["figures"]) == 6
    table = {(row["data"], row["training"]): row for row in finished.results["table"]}
    assert set(table) == {(d, t) for d in ("lms-5", "noisy-lms-7", "ms-7") for t in TINY}
    # Blocks that are all alike have nothing to compare.
    assert table["ms-7", "sgd"]["auc"]["mean"] > 0 and table["ms-7", "sgd"]["simple_auc"] is None
    assert table["lms-5", "ensemble"]["gain"] is not None and table["lms-5", "sgd"]["gain"] is None


def test_every_data_set_of_every_preset_has_its_settings():
    for preset in ("small", "full"):
        points = [t.point for t in study.trials(preset, seeds=1)]
        assert all(set(SETTINGS) <= set(p) for p in points)
    small = {t.point["data"]: t.point for t in study.trials("small", seeds=1)}
    assert set(small) == set(DATA) and small["ms-7"]["learning_rate"] == 0.3
    assert small["dominoes"]["model"].startswith("cnn") and small["lms-5"]["base"] == "sgd"
    assert {p["dimensions"] for p in points} == {50} and points[-1]["model"].endswith(":resnet50")
