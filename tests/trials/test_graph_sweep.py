"""The sweep of graph networks on real Cora, small, and what it is reduced to."""

import pytest
import torch

from farfield.study.stage import VARIABLE
from farfield.trials.graph_sweep import proxy, sweep

pytestmark = pytest.mark.needs_data("citation-graphs")
AXES = {"convolution": ["gcn"], "depth": [1], "dropout": [0.1], "learning_rate": [0.02, 1e-4]}


@pytest.fixture
def point(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return {
        "task": "cora", "sweep": AXES, "epochs": [5, 40], "hidden": 32, "graph_anchors": 100, "device": "cpu",
    }  # fmt: skip


def test_trained_networks_are_good_and_untrained_ones_not(point):
    found = sweep(graph="cora", seed=0, axes=AXES, epochs=[5, 40], hidden=32, device="cpu")
    assert found["features"].shape == (4, 2708, 32)
    assert found["accuracy"][1] > 0.7 > 0.5 > found["accuracy"][3]
    # Earlier looks at a network are of the same run.
    again = sweep(graph="cora", seed=0, axes=AXES, epochs=[5], hidden=32, device="cpu")
    torch.testing.assert_close(again["features"], found["features"][[0, 2]])


def test_the_best_is_left_out_and_the_similar_are_better(point):
    result = proxy({**point, "space": "relative"}, seed=0)
    assert len(result["similarities"]) == 3 and result["diverged"] == 0
    assert result["best_accuracy"] >= max(result["accuracies"])
    assert max(result["similarities"]) < 0.9999 and result["proxy"] > 0


def test_shuffled_anchors_are_less_similar(point):
    whole, shuffled = (proxy({**point, "space": s}, seed=0)["similarities"] for s in ("relative", "shuffled"))
    assert max(shuffled) < max(whole)


def test_a_network_that_diverged_is_counted_and_left_out(point):
    hot = {**AXES, "optimizer": ["sgd"], "learning_rate": [0.5, 1e30]}
    features = sweep(graph="cora", seed=0, axes=hot, epochs=[5, 40], hidden=32, device="cpu")["features"]
    whole = int(torch.isfinite(features).all(2).all(1).sum())
    assert 2 <= whole < 4
    result = proxy({**point, "space": "relative", "sweep": hot}, seed=0)
    assert result["diverged"] == 4 - whole and len(result["similarities"]) == whole - 1
