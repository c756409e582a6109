"""The study of tRSA, end to end at its smoke preset, and on a task and a model of the user's own."""

import sys
import textwrap

import pytest
import torch

from farfield import nn, tasks
from farfield.papers.trsa import falls, shape_ratios, small_cnn, study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    *tested, shapes = finished.results["claims"]
    assert len(tested) == 6 and all(c["n"] == 2 and c["effect"] is not None for c in tested)
    assert shapes["verdict"] == "holds"
    names = ("windows", "statistics", "noise-on-rdms", "plane-rdm", "plane-rgtm")
    assert finished.results["figures"] == [f"trsa/{name}.svg" for name in names]
    found = {(row["statistic"], row["noise"]): row for row in finished.results["table"]}
    assert found["rank", 0.0]["accuracy_lost"]["mean"] == 0 and found["rank", 0.4]["bootstrap_sd"] is None
    assert found["chosen", 0.0]["accuracy"] is None and found["chosen", 0.0]["half_accuracy"] is not None


def test_a_users_task_and_model_take_the_place_of_the_studys(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    (tmp_path / "my_lab.py").write_text(
        textwrap.dedent(
            """
            import torch
            from farfield.tasks import Classes, Table, Task, Vector

            def make(seed=0):
                generator = torch.Generator().manual_seed(seed)
                def rows(n):
                    x = torch.randn(n, 4, generator=generator)
                    return Table(x=x, y=(x[:, 0] > 0).long(), domain=torch.zeros(n, dtype=torch.long))
                return Task("lab", rows(80), rows(40), {"iid": rows(64), "there": rows(8)}, Vector(4), Classes(2), ("here",))

            def network(task):
                return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    replaced = {
        "task": ["my_lab:make"],
        "model": ["my_lab:network"],
        "layers": [["0", "1"]],
        "statistic": ["rdm", "rank"],
    }
    try:
        finished = execute(study, preset="smoke", replaced=replaced, out=tmp_path / "out", workers=1)
    finally:
        sys.modules.pop("my_lab", None)
    assert finished.results["failed"] == []
    assert [row["statistic"] for row in finished.results["table"]] == ["rdm", "rdm", "rank", "rank"]
    # What was left out leaves its claims undecided.
    assert {c["verdict"] for c in finished.results["claims"][2:6]} == {"undecided"}


def test_the_four_curves_and_what_their_claim_says():
    ratios = shape_ratios()
    assert ratios["rdm"] == pytest.approx(4.688, abs=1e-3) and ratios["rgdm"] == pytest.approx(0.688, abs=0.01)
    pandas = pytest.importorskip("pandas")

    def judged(**changed):
        return falls(pandas.DataFrame([{f"shapes/{name}": value for name, value in {**ratios, **changed}.items()}]))

    assert judged()
    assert not judged(rgtm=5.0) and not judged(rgdm=1.1, rgtm=1.2) and not judged(rgdm=1.8)


def test_the_small_network_has_the_six_layers_of_the_sheet():
    model = small_cnn(tasks.load("digits"))
    sides = []
    for layer in model.encoder[:6]:
        layer[1].register_forward_hook(lambda module, inputs, output: sides.append(tuple(output.shape[1:])))
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert sides == [(16, 8, 8)] * 2 + [(16, 4, 4)] * 2 + [(16, 2, 2)] * 2


@pytest.mark.needs_data("cifar10-jpeg")
def test_the_full_preset_can_be_checked_without_running_it():
    assert {need.name: need.state for need in needs(study, "full")}["all-cnn-c"] == "here"
    settings = study.presets["full"].settings
    model = nn.load("all-cnn-c?width=8", tasks.load("digits"))
    from farfield.measure import layer_names

    # Eight ReLUs, their mean and the logits: ten layers as in the paper.
    assert len(layer_names(model, settings["layers"])) == 10
