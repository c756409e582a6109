"""One trial of learning features: against the measures themselves on the network that it trained."""

import sys
import textwrap

import pytest
import torch

from farfield.errors import InputError
from farfield.measure import feature_variance, shortcut_reliance
from farfield.study.stage import VARIABLE
from farfield.trials import feature_learning as learning

POINT = {
    "data": "boolean",
    "features": {"easy": ["bit", 0], "hard": ["and", [1, 2]]},
    "easy": "easy",
    "hard": "hard",
    "rows": 512,
    "test_rows": 480,
    "size": 16,
    "prevalence": {},
    "model": "mlp?hidden=16&depth=2",
    "layer": "",
    "phases": [["", 300]],
    "batch_size": 64,
    "optimizer": "adam",
    "learning_rate": 1e-2,
    "normalize": "shown",
    "device": "cpu",
    "measured": 3,
    "ceiling": 0.9,
}


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_the_numbers_are_those_of_the_trained_network():
    result = learning.trial(POINT, seed=1)
    test = learning.make(POINT, "test", 1)
    model = learning.build(POINT, test, 1)
    kept = learning.trained(**learning.plain(POINT), seed=1)
    model.load_state_dict({k.removeprefix("state."): v for k, v in kept.items() if k.startswith("state.")})
    model.eval()
    with torch.no_grad():
        reps, outputs = model.features(test.x), model(test.x)
    shares = feature_variance(reps, test.features(), seed=1)
    assert (result["easy_r2"], result["hard_r2"]) == pytest.approx((shares["easy"], shares["hard"]), rel=1e-4)
    right = ((outputs > 0) == test.y).double().mean(0)
    assert (result["easy_accuracy"], result["hard_accuracy"]) == pytest.approx(tuple(right.tolist()))
    assert min(right) > 0.9 and result["gap"] == pytest.approx(result["easy_r2"] - result["hard_r2"])
    assert result["reliance"] == pytest.approx(shortcut_reliance(reps, test.y[:, 0], test.y[:, 1]), abs=0.02)
    # The end of training is what is measured afterwards.
    assert result["steps"] == [50, 122, 300]
    assert result["easy_r2_curve"][-1] == pytest.approx(result["easy_r2"], rel=1e-4)
    assert result["easy_absolute_curve"][-1] == pytest.approx(result["easy_r2"], rel=1e-4)
    # Nothing flips without a push, and everything is right with all components.
    assert result["easy_flips"][0] == result["hard_spill"][0] == 0 and result["easy_flips"][-1] > 0.9
    assert result["easy_truncated"][0] == 0.5 and len(result["easy_truncated"]) == learning.COMPONENTS + 1


def test_the_same_seed_gives_the_same_numbers(tmp_path, monkeypatch):
    first = learning.trial(POINT, seed=0)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    assert learning.trial(POINT, seed=0) == first
    assert learning.trial(POINT, seed=2)["easy_r2"] != first["easy_r2"]


def test_a_feature_learned_alone_leaves_the_other_at_chance():
    result = learning.trial({**POINT, "phases": [["easy", 200]]}, seed=0)
    assert result["easy_accuracy"] > 0.95 and abs(result["hard_accuracy"] - 0.5) < 0.2
    assert "gap" not in result
    # Then both: the second phase goes on from the first.
    both = learning.trial({**POINT, "phases": [["easy", 200], ["", 300]], "measured": 12}, seed=0)
    before = [i for i, step in enumerate(both["steps"]) if step <= 200][-1]
    assert both["hard_accuracy_curve"][before] < 0.7 < 0.9 < both["hard_accuracy"]


def test_hidden_labels_are_not_learned_from():
    rare = learning.make({**POINT, "prevalence": {"hard": 0.1}}, "train", 0)
    assert rare.mask.sum(0).tolist() == [512, 51]
    few = learning.trial({**POINT, "prevalence": {"hard": 0.004}}, seed=0)
    assert few["hard_accuracy"] < learning.trial(POINT, seed=0)["hard_accuracy"] - 0.1


def test_the_raw_bits_and_an_untrained_network():
    inputs = learning.trial({**POINT, "model": "inputs", "test_rows": 9600}, seed=0)
    # One of 32 bits of equal variance.
    assert inputs["easy_r2"] == pytest.approx(1 / 32, abs=0.003)
    untrained = learning.trial({**POINT, "phases": []}, seed=0)
    assert "steps" not in untrained and untrained["easy_r2"] < 0.3


def test_another_layer_and_classes_of_more_than_two():
    point = {**POINT, "data": "shapes", "easy": "colour", "hard": "shape", "rows": 128, "test_rows": 128}
    point |= {"model": "cnn?width=4", "phases": [["", 5]], "measured": 1, "ceiling": 0.0}
    result = learning.trial(point, seed=0)
    assert "reliance" not in result and "easy_flips" not in result and len(result["easy_truncated"]) == 9
    other = learning.trial({**point, "layer": "encoder.1.layers.0"}, seed=0)
    assert other["easy_r2"] != result["easy_r2"] and other["easy_accuracy"] == result["easy_accuracy"]


def test_similarities_of_the_six_kinds():
    found = learning.similarities({**POINT, "phases": [["", 100]]}, seed=0, rows=64)
    assert len(found) == 6 and all(-1 <= v <= 1 for v in found.values())
    assert found["similarity_easy-easy"] > found["similarity_easy-hard"]


def test_a_users_data_takes_the_place_of_the_studys(tmp_path, monkeypatch):
    (tmp_path / "my_features.py").write_text(
        textwrap.dedent(
            """
            import torch
            from farfield.tasks import LabelledFeatures

            def make(split, seed):
                generator = torch.Generator().manual_seed(2 * seed + (split == "test"))
                y = torch.randint(2, (200, 2), generator=generator)
                x = torch.cat([3.0 * y[:, :1], y[:, 1:]], 1) + 0.1 * torch.randn(200, 2, generator=generator)
                return LabelledFeatures(x, y, names=("loud", "soft"), classes=(2, 2))

            def wrong(split, seed):
                return torch.zeros(3)
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    point = {**POINT, "data": "my_features:make", "easy": "loud", "hard": "soft"}
    try:
        result = learning.trial(point, seed=0)
        inputs = learning.trial({**point, "model": "inputs"}, seed=0)
        alone = learning.trial({**point, "phases": [["hard", 100]]}, seed=0)
        with pytest.raises(InputError, match="easy and hard are \\('loud', 'hard'\\)"):
            learning.trial({**point, "hard": "hard"}, seed=0)
        with pytest.raises(InputError, match="my_features:wrong returned Tensor"):
            learning.trial({**point, "data": "my_features:wrong"}, seed=0)
    finally:
        sys.modules.pop("my_features", None)
    assert result["easy_accuracy"] > 0.99 and result["association"] < 0.3
    assert inputs["easy_r2"] == pytest.approx(0.88, abs=0.05)
    assert alone["hard_accuracy"] > 0.95 > alone["easy_accuracy"] + 0.2


def test_a_changed_module_of_the_users_trains_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    point, keys = {**POINT, "data": "my_bits:make"}, []
    for text in ("def make(): ...", "def make(): ..." + "  # changed"):
        (tmp_path / "my_bits.py").write_text(text)
        keys.append(learning.plain(point))
        sys.modules.pop("my_bits", None)
    assert keys[0] != keys[1] and learning.plain(POINT)["point"]["sources"] == {}


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(InputError, match="optimizer is 'lion'; it must be adam or sgd"):
        learning.trial({**POINT, "optimizer": "lion"}, seed=0)
