"""The study of descriptions and their lengths, end to end at its smoke preset."""

from farfield.papers.bayesian_generalization import QUICK, SETTINGS, study
from farfield.study.execute import execute
from farfield.study.stage import VARIABLE
from farfield.tasks.complexity_ladder import LADDER


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    # Networks of 32 and 96 channels are not among those of this preset.
    assert [c["n"] for c in claims] == [2, 0, 2, 2, 0, 2, 2, 2, 2]
    assert len(finished.results["figures"]) == 5
    table = {(row["data"], row["width"]): row for row in finished.results["table"]}
    assert {data for data, _ in table} == {*QUICK, "ladder", "world"}
    assert 1 <= table["fixed", 48]["k/roa"]["mean"] < table["fixed", 48]["k/random"]["mean"]
    assert table["ladder", 48]["learnt_sets"]["mean"] == 5 and table["world", 48]["auc/cosine"]["mean"] > 0.5


def test_presets():
    small = [t.point for t in study.trials("small", seeds=1)]
    assert {p["data"] for p in small} == {*LADDER, "ladder", "world"} and {p["width"] for p in small} == {32, 48, 96}
    full = [t.point for t in study.trials("full", seeds=1)]
    assert all(set(SETTINGS) <= set(p) for p in [*small, *full])
    assert all(p["model"].startswith("hf:") and p["maps"] == "encoder.backbone" for p in full)
