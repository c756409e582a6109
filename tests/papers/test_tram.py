"""The study of TRAM, end to end at its smoke preset, and on a task written as a user writes one."""

import json
import sys
import textwrap

import pytest

from farfield.papers.tram import METHODS, study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


@pytest.mark.needs_data("mnist-10k")
def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    assert len(finished.results["claims"]) == 6
    assert all(c["n"] == 2 and c["effect"] is not None for c in finished.results["claims"])
    assert {row["method"] for row in finished.results["table"]} >= {"erm", "tram", "tram-x", "asam-trpo"}
    distances = {row["method"]: row["distance"] for row in finished.results["table"]}
    assert distances["tram"]["mean"] > 0 and distances["erm"] is None


def test_a_users_task_takes_the_place_of_the_studys(tmp_path, monkeypatch):
    (tmp_path / "my_clinic.py").write_text(
        textwrap.dedent(
            """
            import torch
            from farfield.tasks import Classes, Table, Task, Vector

            def make(seed=0):
                generator = torch.Generator().manual_seed(seed)
                def rows(n, offset):
                    x = torch.randn(n, 4, generator=generator) + offset
                    return Table(x=x, y=(x[:, 0] > offset).long(), domain=torch.zeros(n, dtype=torch.long))
                return Task("clinic", rows(80, 0), rows(40, 0), {"iid": rows(64, 0), "other": rows(64, 0.5)},
                            Vector(4), Classes(2), ("here",))
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    replaced = {"task": ["my_clinic:make"], "method": ["erm", "sam", "asam", "fisher-sam", "tram", "tram-x"]}
    try:
        finished = execute(study, preset="smoke", replaced=replaced, out=tmp_path / "out", workers=1)
    finally:
        sys.modules.pop("my_clinic", None)
    assert finished.results["failed"] == []
    assert finished.results["claims"][0]["n"] == 2
    # Methods that were left out leave their claims undecided, and say so.
    assert finished.results["claims"][1]["verdict"] == "undecided"
    assert json.loads((tmp_path / "out" / "tram.json").read_text())["replaced"]["task"] == ["my_clinic:make"]


def test_the_full_preset_can_be_checked_without_running_it():
    found = {need.name: need for need in needs(study, "full")}
    assert {found[m].state for m in METHODS} == {"here"}
    assert found["xnli"].state in ("here", "download", "missing")
    assert found["hf:FacebookAI/xlm-roberta-base?length=128"].state in ("here", "download", "missing")
