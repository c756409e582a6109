"""A saved winner predicts on new rows as the model that was trained, or refuses with a sentence."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from farfield.compare import check_saving, compare, load_saved, predict, save_best
from farfield.errors import InputError


@pytest.fixture(scope="module")
def shops():
    """Three shops with the same rule for the class and a shift in one feature; a column of words besides."""
    rng = np.random.default_rng(0)
    n = 240
    shop = rng.integers(0, 3, n)
    size, price = rng.normal(size=n), rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "size": size * 10 + 50,
            "price": price + shop,
            "colour": rng.choice(["red", "green"], n),
            "shop": np.array(["north", "south", "west"])[shop],
            "sold": np.where(size > 0, "yes", "no"),
        }
    )
    return frame


@pytest.fixture(scope="module")
def saved(shops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shops")
    shops.to_csv(folder / "shops.csv", index=False)
    name = f"csv:{folder / 'shops.csv'}?target=sold&domain=shop"
    check_saving(folder / "best.safetensors", name)
    found = compare(name, methods=["erm"], model="linear", seeds=2, steps=200, workers=1, out=folder / "out")
    return save_best(found, folder / "best.safetensors")


def test_predicts_new_rows_without_labels(saved, shops, tmp_path):
    new = pd.DataFrame({"size": [90.0, 10.0], "price": [0.0, 0.0], "colour": ["red", "blue"], "note": ["a", "b"]})
    new.to_csv(tmp_path / "new.csv", index=False)
    found = predict(saved, str(tmp_path / "new.csv"))
    assert found["prediction"].tolist() == ["yes", "no"]
    assert found["p(yes)"].to_numpy() + found["p(no)"].to_numpy() == pytest.approx([1, 1])
    assert (found["confidence"] > 0.5).all()
    assert found["note"].tolist() == ["a", "b"]


def test_is_good_on_the_data_it_was_trained_on_and_the_name_needs_no_suffix(saved, shops, tmp_path):
    shops.drop(columns="sold").to_csv(tmp_path / "again.csv", index=False)
    found = predict(saved.with_suffix(""), str(tmp_path / "again.csv"))
    assert (found["prediction"] == shops["sold"]).mean() > 0.9


def test_card_says_what_it_is(saved):
    model, card = load_saved(saved)
    assert not model.training
    assert card["method"] == "erm" and card["classes"] == ["no", "yes"]
    assert card["domains"] == ["north", "south", "west"]  # trained on every domain
    far = card["estimate"]["far"]
    assert far["low"] <= far["mean"] <= far["high"] and 0.5 < far["mean"] <= 1


@pytest.mark.parametrize("missing", ["size", "colour"])
def test_new_rows_without_a_column_are_refused(saved, shops, tmp_path, missing):
    shops.drop(columns=missing).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InputError, match=missing):
        predict(saved, str(tmp_path / "new.csv"))


def test_files_that_are_not_a_saved_model_are_refused(saved, tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        load_saved(tmp_path / "none")
    (tmp_path / "bad.safetensors").write_bytes(b"not safetensors")
    (tmp_path / "bad.json").write_bytes(saved.with_suffix(".json").read_bytes())
    with pytest.raises(InputError, match="is not a saved model"):
        load_saved(tmp_path / "bad")
    card = json.loads(saved.with_suffix(".json").read_text())
    (tmp_path / "other.safetensors").write_bytes(saved.read_bytes())
    (tmp_path / "other.json").write_text(json.dumps({**card, "model": "mlp"}))
    with pytest.raises(InputError, match="are not of the model mlp"):
        load_saved(tmp_path / "other")


def test_saving_is_refused_before_training():
    with pytest.raises(InputError, match="should be best"):
        check_saving("best.pt", "digits/rotation")
    with pytest.raises(InputError, match="digits is 3 tasks; to save a model name one of them, such as digits/"):
        check_saving("best.safetensors", "digits")


def test_a_built_in_task_is_saved_with_its_weights(tmp_path):
    found = compare("digits/noise", methods=["erm"], model="cnn", seeds=1, steps=20, workers=1, out=tmp_path / "out")
    path = save_best(found, tmp_path / "digits.safetensors")
    model, card = load_saved(path)
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    assert card["estimate"]["far"]["low"] is None  # one seed has no interval


@pytest.mark.parametrize("method", ["cat", "catch", "levi"])
def test_a_model_of_another_kind_than_its_name_is_read_back(shops, tmp_path, method):
    shops.to_csv(tmp_path / "shops.csv", index=False)
    name = f"csv:{tmp_path / 'shops.csv'}?target=sold&domain=shop"
    found = compare(name, methods=[method], model="mlp?hidden=32", seeds=1, steps=60, workers=1, out=tmp_path / "out")
    # Plain training always takes part; whichever is better here, it is the other kind of model that is to be kept.
    found.results["leaderboard"].sort(key=lambda row: row["method"] != method)
    path = save_best(found, tmp_path / "best.safetensors")
    model, card = load_saved(path)
    assert card["method"] == method and model(torch.zeros(2, 4)).shape == (2, 2)
    shops.drop(columns="sold").to_csv(tmp_path / "again.csv", index=False)
    again = predict(path, str(tmp_path / "again.csv"))
    assert (again["prediction"] == shops["sold"]).mean() > 0.9
