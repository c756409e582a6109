"""One trial of the study of difficulty: what it says of images, noise, control and few-shot learning."""

import math

import pytest

from farfield import measure, tasks
from farfield.trials.difficulty import sensitivity, trial

POINT = {"error": 0.01, "rows": 300, "delta_by": "min", "train_rows": 100}


def test_it_measures_what_the_measures_say():
    found = trial({**POINT, "data": "sphere?m=2&resolution=0.3&n=250", "rows": 1000}, seed=3)
    assert (found["m"], found["true_dimension"], found["family"]) == (2, 2, "sphere")
    assert found["radius"] == pytest.approx(1, abs=1e-6) and 0.3 <= found["delta"] < 0.4
    bits = measure.inductive_bias_complexity(0.01, 225, 2, found["radius"], 2, found["delta"], 1).bits
    assert found["log10_bits"] == pytest.approx(math.log10(bits))
    assert found["mean_error"] == pytest.approx(sum(found["errors"].values()) / 3)
    assert found == trial({**POINT, "data": "sphere?m=2&resolution=0.3&n=250", "rows": 1000}, seed=3)
    assert found["delta"] != trial({**POINT, "data": "sphere?m=2&resolution=0.3&n=250", "rows": 1000}, seed=4)["delta"]


def test_noise_is_measured_with_and_without_its_own_delta():
    found = trial({**POINT, "data": "digits?noise=0.2&classes=0,1"}, seed=0)
    assert found["held"]["m"] == found["m"] and found["held"]["delta"] > found["delta"] * 0.8
    clean = trial({**POINT, "data": "digits?classes=0,1"}, seed=0)
    assert found["held"]["delta"] == pytest.approx(clean["delta"]) and "held" not in clean
    assert found["m"] > clean["m"]


def test_a_task_that_its_data_determine_has_no_bits():
    found = trial({**POINT, "data": "sphere?m=1&resolution=0.5", "rows": 2000}, seed=0)
    assert found["determined"] == 1 and found["log10_bits"] is None


@pytest.mark.needs_data("omniglot-small")
def test_omniglot_is_a_few_shot_task():
    found = trial({**POINT, "data": "task", "task": "omniglot"}, seed=0)
    assert found["m"] > 19 * 5 and found["log10_bits"] > 40 and "errors" not in found


def test_arrays_by_name_are_what_their_names_say():
    x, _ = tasks.labelled_arrays("digits?classes=3,8&size=2&noise=0.5", seed=1)
    clean, _ = tasks.labelled_arrays("digits?classes=3,8&size=2")
    assert x.shape == (357, 1, 2, 2) and (x - clean).std() == pytest.approx(0.5, rel=0.05)
    iris, _ = tasks.labelled_arrays("iris")
    assert iris.mean(0).abs().max() < 1e-6 and iris.std(0, correction=0).sub(1).abs().max() < 1e-5


def test_the_sensitivity_figure_draws_a_line_for_each_number():
    svg = sensitivity("CIFAR-10", caption="").draw(None)
    assert all(label in svg for label in ("dimension m", "1/delta", "classes d", "1/error", "data n"))
