"""The study of Linguistic Collapse, end to end at its smoke preset."""

import math

import pytest

from farfield.papers.linguistic_collapse import RELATIONS, related, study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


@pytest.mark.needs_data("tiny-shakespeare")
@pytest.mark.needs_data("linguistic-collapse-results")
def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = {c["text"]: c for c in finished.results["claims"]}
    assert len(claims) == len(study.claims) == 14
    # What the authors' table says does not depend on the preset.
    published = [c for text, c in claims.items() if "authors' table" in text]
    assert len(published) == 3 and all(c["verdict"] == "holds" for c in published)
    rows = {row["run"]: row for row in finished.results["table"]}
    assert set(RELATIONS) < set(rows)
    # 512 words: learning has begun, and in random order less can be learned.
    assert (
        rows["16x1x1"]["loss"]["mean"] < math.log(512)
        and rows["digits-3"]["loss"]["mean"] < rows["digits-0"]["loss"]["mean"]
    )
    assert {"relations", "loss-cdnv-2", "digits-cdnv"} <= {
        figure.partition("/")[2].removesuffix(".svg") for figure in finished.results["figures"]
    }


def test_relations_are_signed_as_claimed_and_what_never_differs_has_none():
    loss = [4.0, 3.0, 2.0, 1.0]
    table = {
        "cdnv_2": [9, 7, 5, 3], "agreement": [0.0, 0.1, 0.2, 0.3], "log_kernel_cv": [1, 2, 3, 4], "etf_error": [1.4, 1.3, 1.2, 1.1],
        "cos_mean": [1, 3, 2, 4], "cos_cv": [4, 3, 2, 1], "norms_cv": [1, 1, 1, 1], "loss": loss, "parameters": [1, 2, 3, 4],
    }  # fmt: skip
    found = related(table, seed=0)
    assert found["rho"]["cdnv_2"] == 1 and found["rho"]["agreement"] == -1
    assert found["gain"]["cdnv_2"] == found["gain"]["agreement"] == 1 and found["gain"]["log_kernel_cv"] == -1
    assert found["gain"]["equality_over_cosine"] == pytest.approx(1 - 0.8)
    assert found["rho"]["etf_error_and_size"] == -1 and "norms_cv" not in found["rho"]


def test_the_full_preset_names_the_papers_own_data_and_model():
    points = study.trials("full", seeds=1)
    assert {t.point["text"] for t in points} == {"hf:roneneldan/TinyStories"}
    found = {need.name: need for need in needs(study, "full")}
    for name in ("hf:EleutherAI/gpt-neo-125M", "hf:roneneldan/TinyStories"):
        assert found[name].state in ("here", "download", "missing")
    assert found["hf:roneneldan/TinyStories"].what == "text"
