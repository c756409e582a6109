"""Hugging Face data sets: real ones, saved to disk and read again."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from farfield.errors import InputError, MissingExtra
from farfield.names import parse
from farfield.tasks import Image, Text, Vector, expand, load

datasets = pytest.importorskip("datasets", reason="needs the extra hf")

N = 40


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "score": datasets.Value("float32"),
            "embedding": datasets.List(datasets.Value("float32"), length=3),
            "shop": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["good", "bad"]),
        }
    )
    columns = {
        "text": [f"text {i}" for i in range(3 * N)],
        "score": rng.normal(size=3 * N),
        "embedding": rng.normal(size=(3 * N, 3)).tolist(),
        "shop": np.repeat(["a", "b", "c"], N).tolist(),
        "label": [0, 1] * (3 * N // 2),
    }
    return datasets.Dataset.from_dict(columns, features=features)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_saved_data_set_is_a_task_per_held_out_domain(data, here):
    data.save_to_disk("shops")
    names = expand("shops?target=label&domain=shop&drop=text")
    assert names == [f"hf:shops?target=label&domain=shop&drop=text&test={d}" for d in "abc"]
    task = load(names[1], seed=1)
    assert task.inputs == Vector(4)
    assert task.outputs.names == ("bad", "good"), "class labels by their names"
    assert (task.domains, task.far) == (("a", "c"), ("b",))
    far = task.tests["b"].columns
    assert far["y"].tolist() == [1, 0] * (N // 2)
    score, embedding = task.encoding["columns"]
    x = np.hstack([np.array(data["score"])[:, None], np.array(data["embedding"])])[N : 2 * N]
    mean, std = (np.array(score[k] + embedding[k]) for k in ("mean", "std"))
    torch.testing.assert_close(far["x"], torch.tensor((x - mean) / std, dtype=torch.float32))
    assert load(names[0]).fingerprint == task.fingerprint


def test_text_and_splits(data, here):
    datasets.DatasetDict({"train": data, "test": data.select(range(10))}).save_to_disk("both")
    task = load("both?target=label&domain=shop&text=text&test=c")
    assert task.inputs == Text()
    assert task.tests["c"][[0]]["x"] == [f"text {2 * N}"]
    with pytest.raises(InputError, match=r"unknown split of hf:both 'tset'; nearest: test"):
        load("both?target=label&domain=shop&text=text&test=c&split=tset")
    with pytest.raises(InputError, match="both has one domain only"):
        load("both?target=label&domain=shop&text=text&split=test")


def test_images(here):
    reds = [40 * d + 20 * c + i for d in range(3) for c in range(2) for i in range(20)]
    columns = {
        "photo": [Pillow.new("RGB", (5, 7), (r, 0, 0)) for r in reds],
        "label": [r // 20 % 2 for r in reds],
        "place": [str(r // 40) for r in reds],
    }
    data = datasets.Dataset.from_dict(columns).cast_column("photo", datasets.Image())
    data.save_to_disk("photos")
    base = "hf:photos?target=label&domain=place&size=4&test=1"
    task = load(f"{base}&image=photo")
    assert task.inputs == Image(3, 4, 4)
    far = task.tests["1"].columns
    assert far["x"][:, 0, 0, 0].tolist() == list(range(40, 80))
    np.testing.assert_array_equal(far["y"], far["x"][:, 0, 0, 0] >= 60)
    for options, says in {
        "image=foto": r"no column 'foto' \(image=foto\); its columns are photo",
        "image=label": "'label' of photos does not hold images",
        "image=photo&text=label": "exclude each other",
        "image=photo&size=0": "comes twice",
    }.items():
        with pytest.raises(InputError, match=says):
            load(f"{base}&{options}")
    broken = columns | {"photo": [*columns["photo"][:-1], {"bytes": b"no picture", "path": None}]}
    datasets.Dataset.from_dict(broken, features=data.features).save_to_disk("broken")
    with pytest.raises(InputError, match="the image in row 120 of broken cannot be read as an image"):
        load("hf:broken?target=label&domain=place&image=photo&test=1")
    missing = columns | {"photo": [None, *columns["photo"][1:]]}
    datasets.Dataset.from_dict(missing, features=data.features).save_to_disk("missing")
    with pytest.raises(InputError, match="missing has no image in row 1"):
        load("hf:missing?target=label&domain=place&image=photo&test=1")


def test_unlabelled_rows_are_counted(data, here):
    # -1 is how the hub's test splits say that there is no label.
    data.map(lambda row, i: {"label": -1 if i < 3 else row["label"]}, with_indices=True).save_to_disk("gaps")
    with pytest.raises(InputError, match=r"gaps has 3 missing labels \(column 'label', first in row 1\)"):
        load("gaps?target=label&domain=shop&text=text&test=a")


def test_what_cannot_be_read_is_told(data, here):
    data.save_to_disk("shops")
    (here / "shops" / "state.json").write_text("{")
    with pytest.raises(InputError, match="the data set hf:shops cannot be read: "):
        load("hf:shops?target=label&domain=shop")
    data.select([]).save_to_disk("empty")
    with pytest.raises(InputError, match="hf:empty has no rows"):
        load("hf:empty?target=label&domain=shop")
    for name, says in {
        "hf:./nowhere": r"folder not found: \./nowhere",
        "hf:": "folder not found",
        "hf:shops?lable=x": "unknown option",
    }.items():
        with pytest.raises(InputError, match=says):
            load(name)


def test_a_hub_id_that_cannot_be_had_is_one_sentence(here, monkeypatch):
    # As on a machine without network: nothing leaves it.
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="the data set hf:nobody/nothing-at-all cannot be read: ") as error:
        load("hf:nobody/nothing-at-all?target=y&domain=d")
    assert "\n" not in str(error.value)


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"datasets.*pip install 'farfield\[hf\]'"):
        load(str(parse("hf:someone/something?target=y&domain=d")))
