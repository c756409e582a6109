"""The study of Matryoshka representations: its smoke preset, a user's embeddings in it, and what the full preset
names."""

import sys
import textwrap

import pytest

from farfield import tasks
from farfield.papers.matryoshka import study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE

pytest.importorskip("faiss")


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_smoke(tmp_path):
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 16 and all(c["n"] == 2 and c["effect"] is not None for c in claims[:14])
    # The search is judged on 10,000 vectors and more, which are not in it.
    assert all(c["verdict"] == "undecided" for c in claims[14:])
    table = {row["way"]: row for row in finished.results["table"]}
    assert table["cascade"]["cascade_dims"]["mean"] <= 8.5
    assert table["funnel"]["saving"]["mean"] >= 6
    assert table["mrl"]["oracle"]["mean"] >= table["mrl"]["accuracy_at/full"]["mean"]
    # At the full size all of the features are kept, whichever way.
    assert table["svd"]["knn_at/full"]["mean"] == pytest.approx(table["prefix"]["knn_at/full"]["mean"], abs=0.01)
    assert table["prefix"]["map_at/full"] == table["ff"]["map_at/full"]
    drawn = {f.rpartition("/")[2] for f in finished.results["figures"]}
    assert drawn == {f"{f.name}.svg" for f in study.figures}


def test_embeddings_of_a_user_take_the_place_of_images(tmp_path, monkeypatch):
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
                return Task("vectors", rows(500), rows(50), tests, Vector(24), Classes(10), ("here",))
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    replaced = {"task": ["my_vectors:make"], "way": ["mrl", "ff", "svd", "cascade"]}
    try:
        finished = execute(study, preset="smoke", replaced=replaced, out=tmp_path / "out", workers=1)
    finally:
        sys.modules.pop("my_vectors", None)
    assert finished.results["failed"] == []
    table = {row["way"]: row for row in finished.results["table"]}
    assert table["mrl"]["accuracy_at/full"]["mean"] > 0.5
    assert table["mrl"]["accuracy_rotation_at/full"] is None


def test_the_full_preset_names_what_it_needs():
    found = {need.name: need for need in needs(study, "full")}
    assert {"search", "hf", "hub/cifar100", "hf:google/vit-base-patch16-224"} <= set(found)
    assert set(study.preset("full").grid["task"]) <= {*tasks.names()}
    settings = study.trials("full", seeds=1)[0].point
    assert settings["nesting"][-1] == max(settings["sizes"]) == 768
