"""The hub's data sets, read here from folders that ``datasets`` saved in the same columns."""

import numpy as np
import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks.hub_sets import NAMES, SETS, HubSet, make

datasets = pytest.importorskip("datasets")


def save(folder, train, test):
    datasets.DatasetDict(
        {"train": datasets.Dataset.from_dict(train), "test": datasets.Dataset.from_dict(test)}
    ).save_to_disk(folder)
    return str(folder) + "/"


def test_texts_keep_their_published_test_split(tmp_path):
    train = {"text": [f"question {i}" for i in range(40)], "label": [i % 3 for i in range(40)]}
    test = {"text": ["one", "two"], "label": [2, 0]}
    source = HubSet(save(tmp_path / "d", train, test), "label", text="text")
    task = make("mine", source, seed=0)
    assert (len(task.train), len(task.val)) == (36, 4)
    batch = task.tests["iid"][torch.arange(2)]
    assert batch["x"] == ["one", "two"] and batch["y"].tolist() == [2, 0]
    seen = {t: int(y) for part in (task.train, task.val) for t, y in zip(part.columns["x"], part.columns["y"])}
    assert seen == dict(zip(train["text"], train["label"]))
    assert make("mine", source, seed=1).val.columns["x"].tolist() != task.val.columns["x"].tolist()
    assert make("mine", source, seed=1).fingerprint == task.fingerprint


def test_images(tmp_path):
    from PIL import Image

    pictures = [Image.fromarray(np.full((8, 8), 20 * i, dtype=np.uint8)) for i in range(12)]
    features = datasets.Features({"img": datasets.Image(), "fine": datasets.ClassLabel(names=["cat", "dog"])})
    rows = datasets.Dataset.from_dict({"img": pictures, "fine": [i % 2 for i in range(12)]}, features=features)
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "d")
    task = make("mine", HubSet(f"{tmp_path / 'd'}/", "fine", image="img", size=4), seed=0)
    x = task.tests["iid"][torch.arange(12)]["x"]
    assert x.shape == (12, 1, 4, 4)
    torch.testing.assert_close(x[:, 0, 0, 0], 20 * torch.arange(12) / 255)


def test_fine_tuning_without_a_far_test_reports_the_near_score_as_far(tmp_path, monkeypatch):
    """What is far is the data set itself, from what a model was pretrained on."""
    from PIL import Image

    from farfield.trials import finetune

    shades = [10, 200] * 10
    pictures = [Image.fromarray(np.full((8, 8, 3), shade, dtype=np.uint8)) for shade in shades]
    features = datasets.Features({"img": datasets.Image(), "fine": datasets.ClassLabel(names=["dark", "light"])})
    rows = datasets.Dataset.from_dict({"img": pictures, "fine": [int(s > 100) for s in shades]}, features=features)
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "d")
    made = make("mine", HubSet(f"{tmp_path / 'd'}/", "fine", image="img", note="Not for sale."), seed=0)
    assert made.far == () and made.notes == ("Not for sale.",)
    monkeypatch.setattr(finetune.tasks, "load", lambda name, seed=0: made)
    point = {
        "task": "mine", "model": "linear", "method": "erm", "steps": 30, "batch_size": 8, "learning_rate": 1e-2,
        "betas": (0.9, 0.99), "pretraining_steps": 0, "sharpness": 1e-3, "device": "cpu",
    }  # fmt: skip
    found = finetune.trial(point, seed=0)
    assert found["near"] == found["far"] == 1.0 and found["near_cka"] == found["far_cka"]


def test_what_does_not_fit_is_refused(tmp_path):
    folder = save(tmp_path / "d", {"text": ["a", "b"], "label": [0, 1]}, {"text": ["c"], "label": [2]})
    with pytest.raises(InputError, match=r"has the labels \[2\], which its training split has not"):
        make("mine", HubSet(folder, "label", text="text"), seed=0)
    with pytest.raises(InputError, match=r"unknown column of hf:.* 'labels'; nearest: label"):
        make("mine", HubSet(folder, "labels", text="text"), seed=0)
    with pytest.raises(InputError, match="unknown task 'hub/trek'; nearest: hub/trec"):
        tasks.load("hub/trek")


def test_every_name_has_its_home_on_the_hub():
    for name in NAMES:
        assert tasks.hub_ids(name) == (SETS[name].id,) and SETS[name].id.count("/") == 1
        assert bool(SETS[name].text) != bool(SETS[name].image)
