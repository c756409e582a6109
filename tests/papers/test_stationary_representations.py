"""The study of stationary representations: its smoke preset, a user's data in it, and what the full preset names."""

import sys
import textwrap

import pytest

from farfield import tasks
from farfield.papers.stationary_representations import study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_smoke(tmp_path):
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 5 and all(c["n"] == 2 and c["effect"] is not None for c in claims)
    table = {row["variant"]: row for row in finished.results["table"]}
    assert all(0 <= row["am"]["mean"] <= 100 and 0 <= row["violations/same"]["mean"] <= 1 for row in table.values())
    assert claims[0]["effect"] == pytest.approx(table["simplex-hoc"]["am"]["mean"] - table["er"]["am"]["mean"])
    drawn = {f.rpartition("/")[2] for f in finished.results["figures"]}
    assert drawn == {f"{f.name}.svg" for f in study.figures}


def test_vectors_of_a_user_take_the_place_of_images(tmp_path, monkeypatch):
    (tmp_path / "my_vectors.py").write_text(
        textwrap.dedent(
            """
            import torch
            from farfield.tasks import Classes, Table, Task, Vector

            def make(seed=0):
                generator = torch.Generator().manual_seed(seed)
                centres = torch.randn(10, 24, generator=generator)
                def rows(n):
                    y = torch.arange(n) % 10
                    x = centres[y] + 0.5 * torch.randn(n, 24, generator=generator)
                    return Table(x=x, y=y, domain=torch.zeros(n, dtype=torch.long))
                tests = {"iid": rows(100), "far": rows(40)}
                return Task("vectors", rows(300), rows(50), tests, Vector(24), Classes(10), ("here",))
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    replaced = {"task": ["my_vectors:make"], "model": ["mlp?hidden=16"], "variant": ["er", "simplex-hoc"]}
    try:
        finished = execute(study, preset="smoke", replaced=replaced, out=tmp_path / "out", workers=1)
    finally:
        sys.modules.pop("my_vectors", None)
    assert finished.results["failed"] == []
    table = {row["variant"]: row for row in finished.results["table"]}
    # Three clusters of their own are told apart by any network.
    assert table["er"]["own"]["mean"] > 0.6


def test_the_full_preset_names_what_it_needs():
    found = {need.name: need for need in needs(study, "full")}
    assert {"hf", "hub/cifar100", "cifar10"} <= set(found)
    assert any(name.startswith("hf:benjamin-paine/imagenet-1k-32x32") for name in found)
    assert set(study.preset("full").grid["task"]) <= {*tasks.names()}
    seven, many = (study.trials("full", {"tasks": [n]}, seeds=1)[0].point for n in (7, 31))
    for point in (seven, many):
        assert point["first"] + (point["tasks"] - 1) * point["step"] == 100
        assert max(point["pretrained_classes"]) + 100 <= point["num_classes"]
