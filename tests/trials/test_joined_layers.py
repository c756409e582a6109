import pytest
import torch

from farfield.errors import InputError
from farfield.study.stage import VARIABLE
from farfield.tasks import column
from farfield.train import predict
from farfield.trials.joined_layers import UNDEFINED, WAYS, trial
from farfield.trials.pretrained_elsewhere import DIGITS, setting

POINT = {
    "task": DIGITS,
    "rows": 60,
    "model": "mlp?hidden=16&depth=3",
    "least_rows": 0,
    "steps": 30,
    "batch_size": 32,
    "rates": (1e-3,),
    "hidden": 8,
    "layers": 3,
    "pool": "mean",
    "small_width": 8,
    "alpha": 0.5,
    "pretraining_steps": 30,
    "device": "cpu",
}
MLP = 216 * 16 + 16 + 2 * (16 * 16 + 16) + 16 * 10 + 10
SMALL = 216 * 8 + 8 + 8 * 8 + 8


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))


@pytest.mark.needs_data("mnist-10k")
def test_each_way_trains_as_many_parameters_as_it_should():
    heads = 3 * ((16 + 8) * 8 + 8 + 8 * 10 + 10)
    wanted = {
        "scratch": SMALL + 8 * 10 + 10,
        "lp": 16 * 10 + 10,
        "lp-all": 48 * 10 + 10,
        "ft": MLP,
        "lp-ft": MLP,
        "wise-ft": MLP,
        "ensemble": MLP + SMALL + 90,
        "levi": heads + SMALL,
        "levi-no-small": 3 * (16 * 8 + 8 + 8 * 10 + 10),
        "levi-last-layer": heads // 3 + SMALL,
        "levi-learned": heads + SMALL + 3,
        "levi-nested": heads + SMALL + 2 * 8 * 8,
    }
    assert set(wanted) == set(WAYS)
    for way, parameters in wanted.items():
        result = trial({**POINT, "way": way}, 0)
        assert result["parameters"] == parameters, way
        assert result["gap"] == pytest.approx(result["near"] - result["far"])
        assert all(result[name] is not None for name in UNDEFINED), way


@pytest.mark.needs_data("mnist-10k")
@pytest.mark.parametrize("way", ["lp", "lp-all", "levi"])
def test_what_is_judged_on_raw_inputs_is_what_was_trained_on_cached_features(way):
    found = setting(DIGITS, 60, 0, POINT["model"])
    fit, rates = WAYS[way]({**POINT, "way": way, "steps": 600, "rates": (3e-2,)}, found, 0)
    right = predict(fit.model, found.task.train).argmax(1) == column(found.task.train, "y")
    # 60 rows are learned, if the cached features are those of the rows; of 16 features a linear probe reads less.
    assert right.float().mean() > (0.5 if way == "lp" else 0.9) and rates == [3e-2]


@pytest.mark.needs_data("mnist-10k")
def test_the_learning_rate_is_the_best_on_validation_data_and_the_same_for_every_seed():
    point = {**POINT, "way": "scratch", "rates": (1e-6, 1e-2)}
    results = [trial(point, seed) for seed in (0, 1)]
    assert [r["learning_rate"] for r in results] == [1e-2, 1e-2]
    again = trial(point, 1)
    assert {k: v for k, v in again.items() if k != "milliseconds"} == {
        k: v for k, v in results[1].items() if k != "milliseconds"
    }


@pytest.mark.needs_data("mnist-10k")
def test_the_ensemble_is_the_mean_of_its_two_members():
    found = setting(DIGITS, 60, 0, POINT["model"])
    fits = {way: WAYS[way]({**POINT, "way": way}, found, 0)[0].model for way in ("ft", "scratch", "ensemble")}
    x = column(found.task.val, "x")
    with torch.no_grad():
        mean = (fits["ft"](x).softmax(1) + fits["scratch"](x).softmax(1)) / 2
        assert torch.allclose(fits["ensemble"](x).exp(), mean, atol=1e-5)


@pytest.mark.needs_data("mnist-10k")
def test_too_few_rows_are_not_tried_and_an_unknown_way_is_named():
    assert trial({**POINT, "way": "ft", "least_rows": 100}, 0) == UNDEFINED
    with pytest.raises(InputError, match="unknown way 'levy'; nearest: levi"):
        trial({**POINT, "way": "levy"}, 0)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_takes_a_vision_transformer_from_a_folder(way, vision_transformer):
    """What the full preset runs, with a small model of the real class and the pretraining that its name stands for."""
    point = {**POINT, "task": "digits/rotation", "model": f"hf:{vision_transformer}", "way": way, "steps": 3}
    result = trial(point, 0)
    assert 0 <= result["near"] <= 1 and result["reliance_pretraining"] is None
    assert set(result["tests"]) > {"iid"} and result["parameters"] > 0


@pytest.fixture(scope="module")
def vision_transformer(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("vit")
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=4, num_attention_heads=2, intermediate_size=8, image_size=8, patch_size=4
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 8, "width": 8}).save_pretrained(folder)
    transformers.utils.logging.enable_progress_bar()
    return folder
