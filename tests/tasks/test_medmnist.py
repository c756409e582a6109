import dataclasses

import numpy as np
import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import fetch, medmnist


def write(path, *, channels=0, findings=1, labels=None):
    g = np.random.default_rng(0)
    shape = (8, 8, channels) if channels else (8, 8)
    parts = {}
    for part, n in (("train", 20), ("val", 4), ("test", 6)):
        parts[f"{part}_images"] = g.integers(256, size=(n, *shape), dtype=np.uint8)
        parts[f"{part}_labels"] = g.integers(2, size=(n, findings), dtype=np.uint8) if labels is None else labels
    np.savez(path, **parts)
    return parts


@pytest.mark.parametrize("channels", [0, 3])
def test_images_and_labels_are_those_of_the_file(tmp_path, channels):
    parts = write(tmp_path / "a.npz", channels=channels)
    x, y = medmnist.read(tmp_path / "a.npz")["val"]
    assert x.shape == (4, channels or 1, 8, 8) and x.dtype == np.uint8
    np.testing.assert_array_equal(x[:, 0], parts["val_images"][..., 0] if channels else parts["val_images"])
    np.testing.assert_array_equal(y, parts["val_labels"][:, 0])


def test_of_several_findings_effusion_is_kept(tmp_path):
    parts = write(tmp_path / "a.npz", findings=14)
    np.testing.assert_array_equal(medmnist.read(tmp_path / "a.npz")["train"][1], parts["train_labels"][:, 2])


def test_it_is_a_task_with_the_published_split(tmp_path, monkeypatch):
    card = fetch.card("medmnist-chest")
    (file,) = card.files
    (tmp_path / card.name).mkdir()
    write(tmp_path / card.name / file, findings=14)
    monkeypatch.setenv("FARFIELD_DATA", str(tmp_path))
    task = tasks.load("medmnist/chest", seed=3)
    assert [len(s) for s in (task.train, task.val, task.tests["iid"])] == [20, 4, 6]
    assert str(task.inputs) == "images of 1x8x8" and task.outputs.names == ("no effusion", "effusion")
    batch = task.train[torch.arange(2)]
    assert batch["x"].dtype == torch.float32 and batch["x"].min() >= 0 and batch["x"].max() <= 1
    assert tasks.load("medmnist/chest", seed=4).fingerprint == task.fingerprint


def test_every_set_has_a_card_with_one_file_and_its_checksum():
    for name in medmnist.NAMES:
        card = fetch.card(name.replace("/", "-"))
        (checksum,) = card.files.values()
        assert checksum.startswith("md5:") and len(checksum) == 36
        assert card.home and dataclasses.asdict(card)["citation"]
    assert "commercial" in fetch.card("medmnist-derma").notice


def test_other_files_and_names_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(InputError, match="is not a file of MedMNIST"):
        medmnist.read(tmp_path / "other.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(InputError, match="is not a file of MedMNIST"):
        medmnist.read(tmp_path / "broken.npz")
    with pytest.raises(InputError, match="unknown task 'medmnist/lung'"):
        tasks.load("medmnist/lung")
