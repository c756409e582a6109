"""The study of generalization difficulty, end to end at its smoke preset, and on a task written as a user writes one."""

import sys
import textwrap

import pytest

from farfield.papers.generalization_difficulty import study
from farfield.study.execute import execute, needs


def test_smoke(tmp_path):
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    verdicts = {c["text"].split()[0]: c["verdict"] for c in finished.results["claims"]}
    # Exact claims hold at any size: they are the formula on the paper's own inputs.
    exact = [c for c in finished.results["claims"] if c["detail"] == "checked exactly"]
    assert len(exact) == 5 and all(c["verdict"] == "holds" for c in exact)
    assert verdicts["Telling"] == "holds"
    names = {f.rpartition("/")[2] for f in finished.results["figures"]}
    assert names == {"bars.svg", "sensitivity.svg", "noise.svg", "scatter.svg"}
    table = {row["data"]: row for row in finished.results["table"]}
    assert table["digits?classes=0,1"]["log10_bits"]["mean"] == pytest.approx(6.5, abs=0.8)


def test_a_users_data_take_the_place_of_the_studys(tmp_path, monkeypatch):
    (tmp_path / "my_cells.py").write_text(
        textwrap.dedent(
            """
            import torch
            from farfield.tasks import Classes, Table, Task, Vector

            def make(seed=0):
                generator = torch.Generator().manual_seed(seed)
                def rows(n):
                    x = torch.rand(n, 3, generator=generator)
                    y = (x[:, 0] > 0.5).long()
                    x[:, 0] += y
                    return Table(x=x, y=y, domain=torch.zeros(n, dtype=torch.long))
                return Task("cells", rows(300), rows(60), {"iid": rows(60), "other": rows(60)}, Vector(3), Classes(2), ("a",))
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    try:
        finished = execute(study, preset="smoke", replaced={"data": ["my_cells:make"]}, out=tmp_path / "out", workers=1)
    finally:
        sys.modules.pop("my_cells", None)
    assert finished.results["failed"] == []
    (row,) = finished.results["table"]
    assert row["m"]["mean"] == 3 and row["delta"]["mean"] > 1 and row["mean_error"]["mean"] < 0.1


def test_the_full_preset_names_tasks_that_can_be_looked_for():
    found = {need.name: need for need in needs(study, "full")}
    assert set(found) == {"mnist-full", "cifar10", "omniglot"}
    assert all(need.state in ("here", "download", "missing") for need in found.values())
