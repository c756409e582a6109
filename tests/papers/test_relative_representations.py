"""The study of relative representations: its smoke preset, Cora's part of it, and a task written as a user writes one."""

import sys
import textwrap

import pytest

from farfield import tasks
from farfield.papers.relative_representations import SETTINGS, study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_smoke(tmp_path):
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 7 and all(c["n"] == 2 for c in claims[:6])
    # Cora is not in it, so the last claim stays open.
    assert claims[6]["verdict"] == "undecided"
    rows = {row["space"]: row for row in finished.results["table"]}
    assert rows["relative"]["swapped_accuracy"]["mean"] > rows["shuffled"]["swapped_accuracy"]["mean"]
    # What a space does not define is absent, not 0.
    assert rows["layernorm"]["swapped_accuracy"] is None and rows["centered"]["mse"] is None
    # A decoder trained on absolute codes is the same one in both spaces.
    assert rows["procrustes"]["mse"] == rows["absolute"]["mse"] and rows["shuffled"]["mse"] == rows["relative"]["mse"]
    drawn = {f.rpartition("/")[2] for f in finished.results["figures"]}
    assert drawn == {"stitching-matrices.svg", "reconstruction.svg", "agreement.svg"}


@pytest.mark.needs_data("citation-graphs")
def test_cora(tmp_path):
    sweep = {"convolution": ["gcn"], "depth": [1], "dropout": [0.1], "learning_rate": [0.02, 0.001]}
    point = {**SETTINGS, "task": "cora", "sweep": sweep, "epochs": (2, 10, 30), "hidden": 16}
    outcomes = [
        {"space": "relative", "task": "cora", "seed": s, **study.trial({**point, "space": "relative"}, s)}
        for s in (0, 1)
    ]
    assert all(len(o["similarities"]) == 5 for o in outcomes)
    import pandas as pd

    records = pd.DataFrame(outcomes)
    judged = study.claims[6].judge(records)
    assert judged.n == 2 and judged.effect == pytest.approx(records["proxy"].mean())
    assert study.figures[3].draw(records).count("<use") >= 10


def test_a_users_task_takes_the_place_of_the_studys(tmp_path, monkeypatch):
    (tmp_path / "my_scans.py").write_text(
        textwrap.dedent(
            """
            import torch
            from farfield.tasks import Classes, Image, Table, Task

            def make(seed=0):
                generator = torch.Generator().manual_seed(seed)
                def rows(n):
                    y = torch.arange(n) % 2
                    x = torch.rand(n, 1, 8, 8, generator=generator) * 0.5
                    x[y == 1, :, :4] += 0.5
                    return Table(x=x, y=y, domain=torch.zeros(n, dtype=torch.long))
                return Task("scans", rows(160), rows(40), {"iid": rows(80), "far": rows(20)}, Image(1, 8, 8), Classes(2), ("here",))
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    replaced = {"task": ["my_scans:make"], "space": ["absolute", "relative"]}
    try:
        finished = execute(study, preset="smoke", replaced=replaced, out=tmp_path / "out", workers=1)
    finally:
        sys.modules.pop("my_scans", None)
    assert finished.results["failed"] == []
    assert finished.results["claims"][0]["n"] == 2


def test_the_full_preset_names_what_it_needs():
    found = {need.name: need for need in needs(study, "full", {"task": ["hub/trec"]})}
    assert {"hub/trec", "hf", "vision", "timm:rexnet_100", "hf:google-bert/bert-base-cased"} <= set(found)
    assert all(need.state in ("here", "download", "missing") for need in found.values())
    # Its own data set, not another of the family.
    assert "SetFit/TREC-QC" in found["hub/trec"].detail or found["hub/trec"].state != "download"
    assert set(study.preset("full").grid["task"]) - {*tasks.names()} == set()
