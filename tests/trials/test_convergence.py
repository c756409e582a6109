"""One trial of comparing two networks unit by unit, on real networks."""

import numpy as np
import pytest
import torch

from farfield import measure
from farfield.errors import InputError
from farfield.nn import prepare
from farfield.papers.convergent_learning import SETTINGS
from farfield.study.stage import VARIABLE
from farfield.tasks import load
from farfield.trials import convergence
from farfield.trials.convergence import network, trial

POINT = {**SETTINGS, "task": "digits", "epochs": 2, "images": 300, "penalties": [0, 0.01, 0.1, 0.3]}


@pytest.fixture(autouse=True)
def stages(tmp_path_factory, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path_factory.getbasetemp() / "stages"))


def at(layer, nets="trained", **other):
    return trial({**POINT, "layer": layer, "nets": nets, **other}, 0)


def test_it_is_the_measures_on_the_same_activations():
    found = at("conv2")
    task = prepare(POINT["model"], load("digits", seed=0))
    point = {**POINT, "nets": "trained"}
    nets = [network(point, task, split=0, seed=s) for s in (0, 1)]
    splits = [task.val, task.tests["iid"]]
    rows = [torch.linspace(0, len(s) - 1, 150).round().long() for s in splits]
    units = [
        [measure.activations(net, s[r], "conv2", pool="space")["conv2"].double().numpy() for s, r in zip(splits, rows)]
        for net in nets
    ]
    a, b = (np.concatenate(u) for u in units)
    a, b = a[:, a.std(0) > 0], b[:, b.std(0) > 0]
    c = np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :]
    assert found["greedy"] == pytest.approx(c.max(1).mean()) and found["best"] == pytest.approx(c.max())
    assert found["matching"] == pytest.approx(measure.match_summary(c).matching)
    assert found["some_not_all"] == pytest.approx(min(c.max() - 0.8, 0.5 - c.max(1).min()))
    # Fitted on the first split, scored on the second.
    living = [u[0].std(0) > 1e-8 for u in units]
    first, second = ([(v - u[0].mean(0)) / np.where(keep, u[0].std(0), 1) for v in u] for u, keep in zip(units, living))
    weights = np.linalg.lstsq(first[0][:, living[0]], second[0], rcond=None)[0]
    error = np.square(second[1] - first[1][:, living[0]] @ weights)[:, living[1]].mean() / 2
    assert found["dense_loss"] == pytest.approx(error, rel=1e-6)


def test_what_is_reported_hangs_together():
    found = at("conv1")
    assert found["excess"] <= 0 and found["worst"] <= found["greedy"] <= found["best"] <= 1
    assert np.all(np.diff(found["greedy_curve"]) <= 1e-12) and len(found["matching_curve"]) == 20
    assert np.mean(found["greedy_curve"]) == pytest.approx(found["greedy"], abs=0.03)
    assert found["map_weights"] == sorted(found["map_weights"], reverse=True)
    within = [i for i, n in enumerate(found["map_weights"]) if n <= 10]
    assert found["few_loss"] == found["map_loss"][within[0]]
    assert found["few_gain"] == pytest.approx(found["one_to_one_loss"] - found["few_loss"])
    assert found["shared_subspace"] == pytest.approx(found["canonical"] - found["cluster_one_to_one"])
    assert 0 <= found["dead"] < 1 and found["information"] > 0 and 0 <= found["information_agreement"] <= 1


def test_chance_is_far_below_and_an_untrained_network_is_another_one():
    fc, shuffled, untrained = at("fc"), at("fc", "shuffled"), at("fc", "untrained")
    assert fc["matching"] > 3 * shuffled["matching"] and fc["accuracy"] == shuffled["accuracy"]
    assert untrained["accuracy"] < 0.25 < fc["accuracy"]
    assert untrained["matching"] not in (fc["matching"], shuffled["matching"])


def test_the_same_trial_gives_the_same_numbers_and_weights_are_trained_once(monkeypatch):
    first = at("logits")
    monkeypatch.setattr(convergence, "train", None)
    assert at("logits") == first


def test_where_nothing_qualifies_there_is_none():
    found = at("logits", clusters=[30], penalties=[0])
    assert found["shared_subspace"] is None and found["fifth_loss"] is None and found["fifth_margin"] is None


def test_fewer_positions_change_the_information_alone():
    whole, some = at("conv1"), at("conv1", positions=5)
    assert some["greedy"] == whole["greedy"] and some["information"] != whole["information"]
    assert some["information"] == pytest.approx(whole["information"], abs=0.2)


def test_a_users_own_model_and_layer_take_the_place_of_the_studys(tmp_path, monkeypatch):
    (tmp_path / "my_network.py").write_text(
        "from torch import nn\n\ndef make(task):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 10))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = at("2", model="my_network:make")
    assert len(found["map_loss"]) == 4 and found["dead"] == 0


def test_bad_points_are_refused():
    with pytest.raises(InputError, match="unknown layer of Sequential 'conv9'"):
        at("conv9")
    with pytest.raises(InputError, match="unknown kind of nets 'untrain'; nearest: untrained"):
        at("conv1", "untrain")
