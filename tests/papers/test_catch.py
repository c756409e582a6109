"""The study of CATCH, end to end at its smoke preset."""

from farfield.papers.catch import study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    assert len(finished.results["claims"]) == 5
    assert all(c["n"] == 2 and c["effect"] is not None for c in finished.results["claims"])
    figures = {f.rpartition("/")[2] for f in finished.results["figures"]}
    # The other two figures are of tasks that the smoke preset leaves out.
    assert figures == {"posts.svg", "probes.svg"}


def test_the_full_preset_can_be_checked_without_running_it(monkeypatch):
    monkeypatch.setenv("FARFIELD_DATA", "")
    found = {need.name: need for need in needs(study, "full")}
    for name in ("hate-platforms/gab", "hf:FacebookAI/roberta-base", "hf:facebook/bart-base"):
        assert found[name].state in ("here", "download", "missing")
    assert "hf:cardiffnlp/twitter-roberta-base-sentiment" in found
