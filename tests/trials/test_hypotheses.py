"""One trial of the study of inductive bias: the problems, the kernel spaces and the networks."""

import math

import pytest
import torch

from farfield import measure
from farfield.errors import InputError
from farfield.study.stage import VARIABLE
from farfield.trials.hypotheses import problem, trial

POINT = {
    "targets": [0.1, 0.02],
    "draws": 300,
    "networks": 8,
    "epochs": 2,
    "batch_size": 32,
    "architectures": ["mlp?hidden=16&depth=1", "mlp?hidden=64&depth=1"],
    "compared": 0.1,
    "device": "cpu",
}


def test_problems_are_what_their_names_say():
    sine = problem("sine?d=3&n=20", 0)
    assert sine.x.shape == (20, 3) and sine.x_test.shape == (60, 3) and sine.y.abs().max() <= 1
    digits = problem("digits?n=50&test=30", 0)
    assert digits.x.shape == (50, 1, 8, 8) and torch.equal(digits.y.sum(1), torch.ones(50))
    both = torch.cat([digits.x, digits.x_test]).flatten(1)
    assert len(both.unique(dim=0)) == 80
    reduced = problem("digits?n=50&test=30&pca=8", 0)
    assert reduced.x.shape == (50, 8) and reduced.x_test.shape == (30, 8)
    assert reduced.x.mean(0).abs().max() < 1e-5
    correlations = torch.corrcoef(reduced.x.T) - torch.eye(8)
    assert correlations.abs().max() < 1e-3 and torch.equal(reduced.y, digits.y)
    pendulum = problem("pendulum?n=30", 0)
    assert pendulum.x[:, :2].norm(dim=1).sub(1).abs().max() < 1e-9 and pendulum.y.abs().max() <= 1
    with pytest.raises(InputError, match="are more"):
        problem("digits?n=1700", 0)
    with pytest.raises(InputError, match="unknown option"):
        problem("sine?n=20&test=3", 0)


@pytest.mark.needs_data("omniglot-small")
def test_an_episode_is_one_drawing_of_each_of_some_characters_of_one_alphabet():
    episode = problem("omniglot?ways=5", 1)
    assert torch.equal(episode.y, torch.eye(5)) and torch.equal(episode.y_test.sum(0), torch.full((5,), 19.0))
    assert not torch.equal(episode.x, problem("omniglot?ways=5", 2).x)


def test_a_kernel_space_is_read_by_the_saddlepoint():
    found = trial({**POINT, "case": "kernel?sigma=1 on sine?d=2&n=40"}, seed=0)
    data = problem("sine?d=2&n=40", 0)
    space = measure.GPHypotheses(data.x, data.y)
    mean, covariance = space.posterior(data.x_test)
    for target in POINT["targets"]:
        exact = measure.gp_required_bias(mean, covariance, data.y_test, target, base=math.e)
        assert found["nats"][str(target)] == pytest.approx(exact)
    assert found["nats"]["0.02"] > found["nats"]["0.1"] and (found["n"], found["d"]) == (40, 2)
    assert found["mean"] == pytest.approx(space.error_moments(data.x_test, data.y_test)[0])
    median = trial({**POINT, "case": "kernel?sigma=median on sine?d=2&n=40"}, seed=0)
    assert median["sigma"] == pytest.approx(measure.median_distance(data.x)) != found["sigma"]


def test_networks_are_trained_once_and_compared(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    model = "mlp?hidden=64&depth=1"
    found = trial({**POINT, "case": f"{model} on digits?n=60&test=40"}, seed=0)
    again = trial({**POINT, "case": f"{model} on digits?n=60&test=40"}, seed=0)
    assert found == again and len(list(tmp_path.glob("trained-*.safetensors"))) == 1
    assert len(found["errors"]) == len(set(found["errors"])) == 8
    nats = measure.required_bias(torch.tensor(found["errors"]), 0.1, base=math.e)
    assert found["nats"]["0.1"] == pytest.approx(nats.value) and found["low"]["0.1"] == pytest.approx(nats.ci[0])
    assert found["training_error"] < 0.2
    compared = trial({**POINT, "case": "networks on digits?n=60&test=40"}, seed=0)
    other = trial({**POINT, "case": "mlp?hidden=16&depth=1 on digits?n=60&test=40"}, seed=0)
    gap = max(found["low"]["0.1"], other["low"]["0.1"]) - min(found["high"]["0.1"], other["high"]["0.1"])
    assert compared["gap"] == pytest.approx(gap) and compared["separated"] == (1.0 if gap > 0 else 0.0)


def test_a_task_by_name_has_a_kernel_and_networks():
    point = {**POINT, "case": "task", "task": "digits/rotation", "model": "linear", "rows": 80, "test_rows": 40}
    found = trial(point, seed=0)
    assert found["kernel"]["nats"]["0.02"] > 0 and len(found["errors"]) == 8 and found["n"] == 80


def test_an_order_is_the_steps_between_data_sets_at_one_target(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    names = ["sine?d=2&n=40", "sine?d=4&n=40", "digits?n=30&test=20"]
    found = trial({**POINT, "case": "order", "order": names, "matched": 0.05}, seed=0)
    nats = []
    for name in names:
        alone = trial({**POINT, "targets": [0.05], "case": f"kernel?sigma=median on {name}"}, seed=0)
        nats.append(alone["nats"]["0.05"])
    assert [found["first"], found["second"], found["third"]] == pytest.approx(nats)
    assert (found["step_1"], found["step_2"]) == pytest.approx((nats[1] - nats[0], nats[2] - nats[1]))
