"""New rows are read exactly as a task's own rows were."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as Pillow

from farfield.errors import InputError
from farfield.tasks import load, read

N = 40


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.normal(50, 10, 2 * N).round(3),
            "code": rng.choice(["01", "1", "x"], 2 * N),
            "member": rng.random(2 * N) < 0.5,
            "review": [f"review {i}" for i in range(2 * N)],
            "site": np.repeat(["r", "s"], N),
            "label": np.tile(["sick", "well"], N),
        }
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(task):
    return json.loads(json.dumps(task.encoding))


@pytest.fixture
def encoding(frame, here):
    frame.to_csv("old.csv", index=False)
    return saved(load("old.csv?target=label&domain=site&drop=review&test=s"))


def test_the_tasks_own_rows_read_anew_are_the_same_inputs(frame, here):
    frame.to_csv("old.csv", index=False)
    task = load("old.csv?target=label&domain=site&drop=review&test=s")
    # Only rows whose code looks like a number: it must stay a string.
    part = frame[N:][frame["code"][N:] != "x"]
    part.drop(columns=["label", "site"]).to_csv("new.csv", index=False)
    for source in ("new.csv", "csv:new.csv"):
        rows, kept = read(saved(task), source)
        at = torch.tensor((part.index - N).to_numpy())
        torch.testing.assert_close(rows.columns["x"], task.tests["s"].columns["x"][at])
        assert list(kept.columns) == ["age", "code", "member", "review"]
        assert kept["review"].tolist() == part["review"].tolist()
        assert kept.attrs["notes"] == []
    part.to_parquet("new.parquet")
    torch.testing.assert_close(read(saved(task), "new.parquet")[0].columns["x"], rows.columns["x"])
    assert task.encoding["classes"] == ["sick", "well"]


def test_values_that_training_never_saw_are_noted(frame, encoding):
    frame.assign(code="new").to_csv("new.csv", index=False)
    rows, kept = read(encoding, "new.csv")
    assert rows.columns["x"][:, 1:4].abs().sum() == 0
    assert len(kept.attrs["notes"]) == 1 and "80 of 80 rows" in kept.attrs["notes"][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda f: f.drop(columns=["age", "member"]),
            "new.csv lacks 2 of the 3 columns that the model reads: age, member",
        ),
        (lambda f: f.assign(age=f["age"].where(f.index > 2)), "'age' of new.csv has 3 missing or infinite"),
        (lambda f: f.assign(age=f["age"].where(f.index > 0, np.inf)), "'age' of new.csv has 1 missing or infinite"),
        (lambda f: f.assign(code=f["code"].where(f.index > 1)), "'code' of new.csv has 2 missing"),
        (
            lambda f: f.assign(age=f["age"].astype(str).where(f.index != 4, "old")),
            "'age' of new.csv must hold numbers, but row 5 holds 'old'",
        ),
        (lambda f: f[:0], "has no rows"),
    ],
)
def test_rows_that_the_model_cannot_read_are_refused(frame, encoding, change, says):
    change(frame).to_csv("new.csv", index=False)
    with pytest.raises(InputError, match=says):
        read(encoding, "new.csv")


def test_text_is_read_from_its_column(frame, here):
    frame.to_csv("old.csv", index=False)
    encoding = saved(load("old.csv?target=label&domain=site&text=review&test=s"))
    pd.DataFrame({"review": ["12", "NA"]}).to_csv("new.csv", index=False)
    rows, kept = read(encoding, "new.csv")
    assert rows[[0, 1]]["x"] == ["12", "NA"]
    assert len(kept) == 2
    pd.DataFrame({"review": ["a", " "], "k": [1, 2]}).to_csv("new.csv", index=False)
    with pytest.raises(InputError, match="1 rows without text, the first is row 2"):
        read(encoding, "new.csv")
    with pytest.raises(InputError, match="lacks 1 of the 1 columns that the model reads: review; its columns are age"):
        frame.drop(columns="review").to_csv("new.csv", index=False)
        read(encoding, "new.csv")


def test_images_are_read_from_folders_of_any_depth_and_from_one_file(here):
    for d, domain in enumerate("rs"):
        for c, label in enumerate("xy"):
            for i in range(20):
                path = here / "old" / domain / label / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Pillow.new("L", (6, 6), 100 * d + 50 * c + i).save(path)
    task = load("old?size=4&test=s")
    encoding = saved(task)
    rows, kept = read(encoding, "old/s")
    assert kept["file"][0] == "old/s/x/0.png"
    torch.testing.assert_close(rows.columns["x"], read(encoding, "images:old/s")[0].columns["x"])
    assert sorted(rows.columns["x"][:, 0, 0, 0].tolist()) == sorted(task.tests["s"].columns["x"][:, 0, 0, 0].tolist())
    # A colour picture becomes grey, as the task's are.
    Pillow.new("RGB", (9, 9), (50, 50, 50)).save("one.jpg")
    rows, kept = read(encoding, "one.jpg")
    assert rows.columns["x"].shape == (1, 1, 4, 4)
    assert kept["file"].tolist() == ["one.jpg"]
    (here / "none").mkdir()
    (here / "bad.png").write_bytes(b"x")
    (here / "a.csv").write_text("a\n1\n")
    for source, says in {
        "none": "there is no image in none",
        "bad.png": r"bad\.png cannot be read as an image",
        "a.csv": r"a\.csv is no image, but the model reads images",
        "nowhere": "file not found: nowhere",
    }.items():
        with pytest.raises(InputError, match=says):
            read(encoding, source)


def test_a_saved_data_set_is_read_too(frame, encoding):
    datasets = pytest.importorskip("datasets", reason="needs the extra hf")
    frame.to_csv("new.csv", index=False)
    datasets.Dataset.from_pandas(frame).save_to_disk("new")
    torch.testing.assert_close(read(encoding, "new")[0].columns["x"], read(encoding, "new.csv")[0].columns["x"])


def test_what_is_no_table_or_no_encoding_is_refused(frame, encoding, here):
    (here / "folder").mkdir()
    Pillow.new("L", (2, 2)).save("a.png")
    for source, says in {"folder": "is a folder, but the model reads a table", "a.png": "is an image"}.items():
        with pytest.raises(InputError, match=says):
            read(encoding, source)
    with pytest.raises(InputError, match="the encoding is of kind None"):
        read({}, "a.png")
