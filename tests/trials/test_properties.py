import math

import numpy as np
import pytest
import torch

from farfield import measure, tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.papers.intrinsic_properties import SETTINGS, SMOKE
from farfield.trials import properties
from farfield.trials.properties import trial

POINT = {
    **SETTINGS,
    **SMOKE,
    "model": "cnn?width=8",
    "sizes": {"manifold": (60, 240), "margin": (60,), "natural": (60, 120), "patch": (60,)},
}


def test_a_surface_is_measured_at_each_size_and_its_rate_is_that_of_the_losses():
    found = trial({**POINT, "data": "latent-manifold?d=2&frequency=1"}, 0)
    assert (found["group"], found["n"], found["d"], found["frequency"]) == ("manifold", 240, 2.0, 1.0)
    few, many = found["by_size"]["n60"], found["by_size"]["n240"]
    assert found["few"] == few and found["loss"] == many["loss"] != few["loss"]
    assert many["log_loss"] == math.log(many["loss"])
    rate = (many["log_loss"] - few["log_loss"]) / math.log(4)
    assert found["rate"] == pytest.approx(rate)
    assert found["law_slope"] == pytest.approx(-rate * found["d_data"])
    # Larger training sets hold the smaller ones.
    assert many["sharpness"] >= few["sharpness"]
    assert many["narrower"] == (many["d_repr"] <= many["d_data"])
    assert trial({**POINT, "data": "latent-manifold?d=2&frequency=1"}, 0) == found
    assert trial({**POINT, "data": "latent-manifold?d=2&frequency=1"}, 1)["loss"] != found["loss"]


def test_dimension_and_sharpness_are_those_of_the_training_inputs():
    found = trial({**POINT, "data": "latent-manifold?d=4&margin=0.2"}, 3)
    x, y = properties._rows(parse("latent-manifold?d=4&margin=0.2"), POINT, 3)
    rows = properties._balanced(y, 3)[100:160]
    assert found["d_data"] == measure.intrinsic_dimension(x[rows])
    assert found["sharpness"] == measure.label_sharpness(x[rows], y[rows], seed=3)
    assert found["group"] == "margin" and found["margin"] == 0.2 and found["rate"] is None


def test_any_data_set_of_the_user_is_measured(tmp_path, monkeypatch):
    g = np.random.default_rng(0)
    x = g.normal(size=(600, 3))
    lines = ["a,b,c,y,site", *(f"{a},{b},{c},{'high' if a > 0 else 'low'},{i % 2}" for i, (a, b, c) in enumerate(x))]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    found = trial({**POINT, "data": "csv:mine.csv?target=y&domain=site&test=0"}, 0)
    assert found["group"] == "natural" and found["n"] == 120
    assert found["d_data"] == pytest.approx(3, rel=0.25)
    as_task = trial({**POINT, "data": "task", "task": "csv:mine.csv?target=y&domain=site&test=0"}, 0)
    assert as_task == found


def test_every_beginning_of_the_order_is_balanced():
    y = torch.tensor([0] * 50 + [1] * 30 + [2] * 40)
    order = properties._balanced(y, 0)
    assert sorted(order.tolist()) == list(range(120))
    counts = y[order][:90].bincount()
    assert counts.tolist() == [30, 30, 30]
    assert properties._balanced(y, 1).tolist() != order.tolist()


def test_two_classes_are_drawn_where_none_are_named():
    point = {**POINT, "pairs": True, "side": 4, "grey": True}
    x, y = properties._rows(parse("digits"), point, 0)
    assert y.unique().tolist() == [0, 1] and x.shape[1:] == (1, 4, 4)
    drawn = {len(properties._rows(parse("digits"), point, seed)[1]) for seed in range(4)}
    assert len(drawn) > 1
    x, y = properties._rows(parse("digits?classes=3,8"), POINT, 0)
    expected, labels = tasks.labelled_arrays("digits?classes=3,8")
    assert torch.equal(x, expected) and torch.equal(y, (labels == 8).long())


def test_the_label_is_the_patch():
    plain, _ = properties._rows(parse("digits"), POINT, 0)
    x, y = properties._rows(parse("digits?patch=0.25"), POINT, 0)
    change = x - plain
    assert (change[y == 0] == 0).all()
    assert torch.equal(x[y == 1][:, :, 2:5, 2:5], (plain[y == 1][:, :, 2:5, 2:5] + 0.25).clamp(max=1))
    assert 0.4 < float(y.float().mean()) < 0.6
    change[:, :, 2:5, 2:5] = 0
    assert (change == 0).all()


def test_too_few_rows_are_refused():
    with pytest.raises(
        InputError, match=r"digits\?classes=3,8 has 357 rows of two classes or more; it needs 350 to test"
    ):
        trial({**POINT, "data": "digits?classes=3,8", "test_rows": 350}, 0)
    with pytest.raises(InputError, match="unknown option of builtin:latent-manifold"):
        trial({**POINT, "data": "latent-manifold?d=2&wdith=3"}, 0)
