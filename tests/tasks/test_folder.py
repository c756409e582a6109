"""The user's image folders: domain/class/file."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from farfield.errors import InputError
from farfield.tasks import Image, expand, load

EACH = 10


def save(path, value, mode="RGB", size=(6, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new(mode, size, value if mode != "RGB" else (value, 10, 20)).save(path)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two classes at three places; each image is of one red value, its own."""
    monkeypatch.chdir(tmp_path)
    for d, domain in enumerate(["desk", "lab", "street"]):
        for c, label in enumerate(["cat", "dog"]):
            for i in range(EACH):
                save(tmp_path / "photos" / domain / label / f"{i}.png", d * 60 + c * 30 + i)
    return tmp_path / "photos"


def test_a_folder_is_a_task_per_held_out_domain(photos):
    assert expand("photos/?size=8") == [f"images:photos/?size=8&test={d}" for d in ("desk", "lab", "street")]
    task = load("photos/?size=8&test=lab", seed=2)
    assert task.inputs == Image(3, 8, 8)
    assert task.outputs.names == ("cat", "dog")
    assert (task.domains, task.far) == (("desk", "street"), ("lab",))
    far = task.tests["lab"].columns
    assert far["x"].dtype.is_floating_point is False
    assert sorted(far["x"][:, 0, 0, 0].tolist()) == [60 + c * 30 + i for c in (0, 1) for i in range(EACH)]
    np.testing.assert_array_equal(far["y"], far["x"][:, 0, 0, 0] >= 90)
    for split in (task.train, task.val, task.tests["iid"]):
        np.testing.assert_array_equal(split.columns["domain"], split.columns["x"][:, 0, 0, 0] // 60 // 2)
    assert load("photos/?test=lab").inputs == Image(3, 32, 32)


def test_grey_images_have_one_channel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for d, domain in enumerate("ab"):
        for c, label in enumerate("xy"):
            for i in range(EACH):
                save(tmp_path / "p" / domain / label / f"{i}.jpg", 100 * d + 50 * c + 4 * i, mode="L")
    assert load("images:p?test=a&size=4").inputs == Image(1, 4, 4)
    save(tmp_path / "p" / "a" / "x" / "color.png", 200)
    assert load("images:p?test=a&size=4").inputs == Image(3, 4, 4)


def test_hidden_and_other_files_and_empty_folders_are_left_out_and_told(photos):
    (photos / "lab" / "bird").mkdir()
    (photos / "lab" / "dog" / "notes.txt").write_text("x")
    (photos / "lab" / "dog" / ".hidden.png").write_text("x")
    (photos / ".cache" / "x").mkdir(parents=True)
    (photos / ".cache" / "x" / "a.png").write_text("x")
    task = load("images:photos?test=lab")
    assert task.outputs.names == ("cat", "dog")
    assert "1 class folders without images were ignored: lab/bird." in task.notes
    assert "1 files that are not images were ignored." in task.notes


def test_equal_images_stay_together(photos):
    for i in range(EACH):
        for copy in range(4):
            save(photos / "desk" / "cat" / f"copy{copy}-{i}.png", i)
    save(photos / "street" / "cat" / "seen.png", 60)
    task = load("images:photos?test=lab", seed=1)
    reds = {
        k: set(v.columns["x"][:, 0, 0, 0].tolist()) for k, v in {"t": task.train, "v": task.val, **task.tests}.items()
    }
    for one in reds:
        assert all(one == other or not reds[one] & reds[other] for other in reds)
    assert any(note.startswith("1 training row was left out") for note in task.notes)


def test_a_changed_folder_is_read_again(photos):
    before = load("images:photos?test=lab")
    assert load("images:photos?test=desk").fingerprint == before.fingerprint
    assert load("images:photos?test=lab&size=16").fingerprint != before.fingerprint
    save(photos / "lab" / "dog" / "0.png", 250)
    os.utime(photos / "lab" / "dog" / "0.png", ns=(1, 1))
    after = load("images:photos?test=lab")
    assert after.fingerprint != before.fingerprint
    assert 250 in after.tests["lab"].columns["x"][:, 0, 0, 0].tolist()
    (photos / "lab" / "dog" / "0.png").rename(photos / "lab" / "dog" / "zero.png")
    assert load("images:photos?test=lab").fingerprint != after.fingerprint


def test_an_unreadable_image_is_named(photos):
    (photos / "lab" / "dog" / "3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"photos/lab/dog/3\.png cannot be read as an image"):
        expand("images:photos")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "found no folder in it"),
        (lambda p: save(p / "a.png", 1), "found 1 images directly in it"),
        (lambda p: save(p / "cat" / "a.png", 1), "found images directly in cat: one level of folders is missing"),
        (lambda p: (p / "lab" / "cat").mkdir(parents=True), r"found no image two folders down \(1 folders, first lab\)"),
        (lambda p: save(p / "x" / "lab" / "cat" / "a.png", 1), "a folder within a class: .*x/lab/cat"),
        (lambda p: [save(p / "lab" / "cat" / "a.png", 1), save(p / "lab" / "b.png", 1)], r"1 images lie higher up, .*b\.png"),
        (lambda p: [save(p / "lab" / c / "a.png", i) for i, c in enumerate("xy")], r"one domain only \('lab'\)"),
        (lambda p: [save(p / d / "x" / "a.png", i) for i, d in enumerate("ab")], r"labels .* all the same \('x'\)"),
        (
            lambda p: [save(p / d / c / "a.png", i) for i, (d, c) in enumerate(["ax", "bx", "by"])],
            "the class 'y' of p exists in one domain alone",
        ),
    ],
)  # fmt: skip
def test_other_layouts_are_refused_with_what_was_found(tmp_path, monkeypatch, make, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    make(tmp_path / "p")
    with pytest.raises(InputError, match=says):
        expand("images:p")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("images:nowhere", "folder not found: nowhere"),
        ("images:", "folder not found"),
        ("images:photos/lab/cat/0.png", "is a file; a folder"),
        ("images:photos?size=0", "size=0 .*from 1 to 1024"),
        ("images:photos?size=x", "size=x .*from 1 to 1024"),
        ("images:photos?target=y", "unknown option"),
        ("images:photos?test=moon", "unknown test domain"),
    ],
)
def test_wrong_names_are_refused(photos, name, says):
    with pytest.raises(InputError, match=says):
        expand(name)


@pytest.mark.needs_data("vlm-shift")
def test_the_pacs_sample_loads(tmp_path):
    with zipfile.ZipFile(Path(os.environ["FARFIELD_DATA"]) / "vlm-shift" / "pacs140.zip") as archive:
        archive.extractall(tmp_path / "pacs")
    names = expand(str(tmp_path / "pacs"))
    assert [n.partition("test=")[2] for n in names] == ["art_painting", "cartoon", "photo", "sketch"]
    task = load(names[3])
    assert task.inputs == Image(3, 32, 32)
    assert task.outputs.names == ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
    assert len(task.tests["sketch"]) == 35
    # Sketches are black lines on white; paintings and photos are darker and have colours.
    sketch, others = (s.columns["x"].float() for s in (task.tests["sketch"], task.train))
    assert sketch.mean() > others.mean() + 20
    assert (sketch[:, 0] - sketch[:, 2]).abs().mean() < 1 < (others[:, 0] - others[:, 2]).abs().mean()
