"""The study of representation calibration, end to end at its smoke preset."""

from farfield.papers.rcal import CIFAR, DIGITS, MNIST, NEAR, study
from farfield.study.execute import execute
from farfield.study.stage import VARIABLE
from farfield.trials.noisy_long_tail import METHODS, VARIANTS


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = {c["text"]: c for c in finished.results["claims"]}
    assert len(claims) == len(study.claims) == 17
    # The claims about digits and Gaussians are judged; those about MNIST have nothing to go by.
    judged = [c for c in claims.values() if c["n"] == 2 and c["effect"] is not None]
    assert len(judged) == 3
    assert {f.rpartition("/")[2] for f in finished.results["figures"]} == {"accuracy-others.svg", "means-gaussians.svg"}
    rows = finished.results["table"]
    assert {row["variant"] for row in rows} == set(METHODS)
    for row in rows:
        assert 0 <= row["balanced"]["mean"] <= 1
        assert (row["error_raw"] is not None) == (row["variant"] in VARIANTS)


def test_presets_name_the_papers_data():
    assert study.axes("full")["task"] == list(CIFAR) and len(CIFAR) == 20
    points = [t.point for t in study.trials("small", seeds=1)]
    models = {p["task"]: (p["model"], p["pool"]) for p in points}
    assert models[DIGITS] == ("mlp?hidden=64", 1) and models[NEAR] == ("linear", 1)
    assert {models[task][1] for task in MNIST} == {2}


def test_every_claim_has_the_papers_figure_or_says_that_there_is_none():
    assert all(claim.reported for claim in study.claims)
    assert "88.09" in study.claims[0].reported and "78.60" in study.claims[2].reported
