import numpy as np
import pytest
from PIL import Image as Picture

from farfield import tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks import imagenet_shifts
from farfield.tasks.imagenet_shifts import load, match, within_class


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """The data sets of the hub in small, as `datasets` saves them, with the names of their classes beside them."""
    datasets = pytest.importorskip("datasets")
    names = [f"thing {i}" for i in range(12)]
    rng = np.random.default_rng(0)

    def save(folder, split, column, target, labels, own):
        # The brightness of a picture tells its label in ImageNet's own order, whatever number it has here.
        cells = [Picture.fromarray(np.full((9, 7, 3), 20 * names.index(own[i]), np.uint8)) for i in labels]
        features = datasets.Features({column: datasets.Image(), target: datasets.Value("int64")})
        rows = datasets.Dataset.from_dict({column: cells, target: labels}, features=features)
        datasets.DatasetDict({split: rows}).save_to_disk(str(tmp_path / folder))
        (tmp_path / folder / "classnames.txt").write_text("\n".join(own) + "\n")
        return f"{tmp_path}/{folder}"

    train = save("train", "train", "image", "label", rng.permutation(np.repeat(np.arange(12), 9)).tolist(), names)
    near = save("near", "test", "jpg", "cls", list(range(12)), names)
    sketch = save("sketch", "test", "webp", "cls", list(range(12)) * 2, names)
    part = save("part", "test", "jpg", "cls", [0, 1, 2, 1], ["thing 7", "thing 2", "thing 11"])
    monkeypatch.setattr(imagenet_shifts, "TRAINING", train)
    monkeypatch.setattr(imagenet_shifts, "NEAR", near)
    monkeypatch.setattr(imagenet_shifts, "FAR", {"sketch": sketch, "part": part})
    monkeypatch.setattr(imagenet_shifts, "CLASSES", 12)
    monkeypatch.setattr(imagenet_shifts, "SIZE", 8)
    monkeypatch.setattr(imagenet_shifts, "PER_CLASS", 5)
    # Only the names of classes are fetched file by file; here they lie in the folders.
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda repo, file, repo_type: f"{repo}/{file}")


def test_pictures_keep_their_labels_in_every_split(saved):
    task = load(parse("imagenet-shifts"), 0)
    for split in (task.train, task.val, *task.tests.values()):
        batch = split[slice(0, len(split))]
        shown = (batch["x"].amax((1, 2, 3)) * 255 / 20).round().long()
        assert shown.tolist() == batch["y"].tolist()
    assert task.train.columns["y"].bincount().tolist() == [4] * 12
    assert task.val.columns["y"].bincount().tolist() == [1] * 12
    assert sorted(task.tests["part"].columns["y"].tolist()) == [2, 2, 7, 11]
    assert str(task.inputs) == "images of 3x8x8" and task.outputs.count == 12


def test_another_seed_draws_other_pictures(saved):
    a, b = (load(parse("imagenet-shifts"), seed).train.columns["y"].tolist() for seed in (0, 1))
    assert a != b


def test_a_class_without_one_namesake_is_refused():
    with pytest.raises(InputError, match="'crane' of that has 2 namesakes"):
        match(["crane"], ["crane", "crane"], "that")
    with pytest.raises(InputError, match="'dog' of that has 0 namesakes"):
        match(["dog"], ["crane", "tench"], "that")
    assert match(["a", "a"], ["a", "a"], "that").tolist() == [0, 1]


def test_ranks_within_a_class():
    y = np.random.default_rng(0).integers(0, 5, 50)
    assert within_class(y).tolist() == [(y[:i] == label).sum() for i, label in enumerate(y)]


def test_it_is_known_by_name_without_fetching_it():
    assert "imagenet-shifts" in tasks.names() and tasks.hub_ids("imagenet-shifts")[0] == "ILSVRC/imagenet-1k"
