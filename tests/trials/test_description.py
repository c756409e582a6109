"""Trials of description lengths: splits, what is kept, and the world of novel concepts."""

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import attribute_matrix, description_curve, representativeness
from farfield.papers.bayesian_generalization import study
from farfield.study.stage import VARIABLE
from farfield.trials import concept_world, description

POINT = {**study.trials("smoke", seeds=1)[0].point, "data": "fixed", "width": 16, "epochs": 6}


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_a_set_of_the_ladder_in_three_parts():
    task = description.load_set("clouds", 320, 1)
    parts = [task.train, task.val, task.tests["iid"]]
    assert [len(p) for p in parts] == [200, 40, 80]
    rows = torch.cat([p[slice(None)]["x"] for p in parts]).flatten(1)
    assert len(rows.unique(dim=0)) == 320


def test_pooled_maps_are_what_the_head_reads():
    task = description.load_set("jittered", 64, 0)
    model = description.fit({**POINT, "epochs": 1}, task, 0).eval()
    x = task.train[slice(None)]["x"]
    peaks, means = description.pooled_maps(model, x, "encoder.maps")
    with torch.no_grad():
        assert torch.allclose(model.head(means), model(x), atol=1e-5)
        assert torch.allclose(peaks, model.encoder.maps(x).amax((2, 3)), atol=1e-6)
    assert float(peaks.min()) >= 0 and (peaks >= means).all()


def test_a_set_is_learnt_and_described():
    found = description.trial(POINT, 0)
    assert found["accuracy"] > 0.5 and found["learnt"] == 1
    assert 1 <= found["k"]["roa"] < found["k"]["random"] and found["gap"] == found["k"]["random"] - found["k"]["roa"]
    # The curves are those of what the stage keeps, and end at the full accuracy.
    kept = description.trained(POINT, "fixed", 0)
    assert len(kept["train/y"]) <= 8 * POINT["images"] and len(kept["test/y"]) == 80
    roa = representativeness(attribute_matrix(kept["train/peaks"], kept["train/y"]))
    curve = description_curve(kept["test/means"], kept["test/y"], kept["weight"], roa, bias=kept["bias"])
    assert found["curve_roa"] == pytest.approx(curve.mean(0).tolist())
    ends = [found[f"curve_{order}"][-1] for order in description.ORDERS]
    assert ends == pytest.approx(4 * [ends[0]])
    assert np.array(found["log_roa"]).shape == (8, 16) and description.trial(POINT, 0) == found


def test_relations_of_rules_and_similarity():
    k = [1, 2, 3, 4, 5, 6]
    aucs = [{"rule": 0.5 + 0.05 * i, "similarity": 0.9 - 0.05 * i, "cosine": 0.9} for i in k]
    found = concept_world.relations(k, k, aucs)
    assert found["rule_gap"] == pytest.approx(0.15) == found["similarity_gap"] and found["cosine_gap"] == pytest.approx(
        0
    )
    assert found["interaction"] == pytest.approx(0.3) and found["cosine_interaction"] == pytest.approx(0.15)
    assert found["rho"] == found["area_rho"] == pytest.approx(1)
    assert concept_world.relations(k[::-1], k, aucs)["rho"] == pytest.approx(-1)
    equal = concept_world.relations([2] * 6, k, aucs)
    assert equal["rule_gap"] is None and equal["rho"] is None and "high" not in equal


def test_judgements_find_the_rule():
    rng = np.random.default_rng(0)
    # Things with attributes 0 and 1 belong; the other four attributes are noise.
    on = torch.from_numpy(rng.random((400, 6)) < 0.5)
    on[:3, :2] = True
    peaks = on.double() + 0.01
    member = on[:, 0] & on[:, 1]
    on[:3, 2:] = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 1, 1]], dtype=torch.bool)
    peaks[:3] = on[:3].double() + 0.01
    raw = torch.full((4, 6), 0.5, dtype=torch.float64)
    limits, prior = torch.full((6,), 0.5), torch.full((6,), 1 / 6, dtype=torch.float64)
    found = concept_world.judgements(POINT, peaks, 3, limits, prior, raw)
    assert found["rule"].bool().tolist() == member.tolist() == found["rule_uniform"].bool().tolist()
    # Weak sampling over three hypotheses: both attributes make more likely than one, one more than none.
    levels = [found["similarity"][3:][on[3:, :2].sum(1) == n].mean() for n in (0, 1, 2)]
    assert levels[0] < levels[1] < levels[2]
    # Nothing in common: everything belongs, and nothing fails.
    on[:3] = torch.eye(6, dtype=torch.bool)[:3]
    none = concept_world.judgements(POINT, on.double(), 3, limits, prior, raw)
    assert set(none["rule"].tolist()) == {1.0} and set(none["similarity"].tolist()) == {1.0}


def test_a_world_numbers_all_concepts():
    settings = {"rows": 64, "world_concepts": 5, "world_images": 3}
    rows, inputs = concept_world.gather(["fixed", "clutter"], settings, 0)
    assert inputs.height == 28
    y = rows["train"].columns["y"]
    assert y.unique().tolist() == list(range(10)) and int(y.bincount().max()) == 3
    with pytest.raises(InputError, match="novel is 10; of 10 concepts"):
        concept_world.world(sets=["fixed", "clutter"], settings={**POINT, **settings, "novel": 10}, sources=[], seed=0)
    with pytest.raises(InputError, match="a world needs images of one size"):
        concept_world.gather(["fixed", "digits/rotation"], settings, 0)
