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
