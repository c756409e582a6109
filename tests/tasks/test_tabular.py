"""The user's CSV and Parquet files: what a new user would write, and what goes wrong."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import torch

from farfield.errors import InputError
from farfield.tasks import Text, Vector, expand, load

N = 40


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.normal(50, 10, 3 * N).round(3),
            "city": rng.choice(["NA", "Bonn", "Kiel"], 3 * N),
            "member": rng.random(3 * N) < 0.5,
            "review": [f"review {i}" for i in range(3 * N)],
            "site": np.repeat(["01", "02", "1"], N),
            "label": np.tile(["sick", "well"], 3 * N // 2),
        }
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


OPTIONS = "?target=label&domain=site&drop=review"


def test_a_csv_is_a_task_per_held_out_domain(frame, here):
    frame.to_csv("shops.csv", index=False)
    names = expand(f"shops.csv{OPTIONS}")
    # Sites are kept as they are written: 01 is not 1.
    assert names == [f"csv:shops.csv{OPTIONS}&test={d}" for d in ("01", "1", "02")]
    task = load(names[0], seed=3)
    assert task.name == names[0]
    assert task.inputs == Vector(6)  # age, three cities, two booleans
    assert task.outputs.names == ("sick", "well")
    assert (task.domains, task.far) == (("1", "02"), ("01",))
    assert len(task.train) + len(task.val) + len(task.tests["iid"]) == 2 * N
    json.dumps(task.encoding)

    # The far test is the file's first N rows in their order, with the training rows' mean and deviation.
    far, age = task.tests["01"].columns, task.encoding["columns"][0]
    expected = (frame["age"][:N].to_numpy() - age["mean"]) / age["std"]
    torch.testing.assert_close(far["x"][:, 0], torch.tensor(expected, dtype=torch.float32))
    np.testing.assert_array_equal(far["x"][:, 1:4], frame["city"][:N].to_numpy()[:, None] == ["Bonn", "Kiel", "NA"])
    np.testing.assert_array_equal(far["x"][:, 5], frame["member"][:N])
    assert far["y"].tolist() == [0, 1] * (N // 2)
    x = torch.cat([task.train.columns["x"][:, 0]])
    assert abs(float(x.mean())) < 1e-5 and abs(float(x.std(correction=0)) - 1) < 1e-5


def test_the_same_rows_give_the_same_task_in_every_format(frame, here):
    frame.to_csv("a.csv", index=False)
    frame.to_csv("a.tsv", index=False, sep="\t")
    frame.to_csv("b.csv", index=False, sep=";", encoding="utf-8-sig")
    frame.to_parquet("a.parquet")
    first, *others = (load(f"{f}{OPTIONS}&test=01", seed=1) for f in ("a.csv", "a.tsv", "b.csv", "a.parquet"))
    for other in others:
        torch.testing.assert_close(other.train.columns, first.train.columns)
        torch.testing.assert_close(other.tests["01"].columns, first.tests["01"].columns)


def test_a_column_of_text_gives_strings(frame, here):
    frame.to_csv("a.csv", index=False)
    task = load("a.csv?target=label&domain=site&text=review&test=02")
    assert task.inputs == Text()
    assert task.tests["02"][[1]]["x"] == [f"review {N + 1}"]
    assert task.encoding["column"] == "review"


def test_features_and_drop_choose_the_columns(frame, here):
    frame.to_csv("a.csv", index=False)
    base = "a.csv?target=label&domain=site&test=02"
    assert [c["name"] for c in load(f"{base}&features=member,age").encoding["columns"]] == ["member", "age"]
    assert [c["name"] for c in load(f"{base}&drop=review,city").encoding["columns"]] == ["age", "member"]
    for options, says in {
        "features=site": "'site' is also the target or the domain",
        "features=ages": "no column 'ages'",
        "drop=reviews": "no column 'reviews'",
        "drop=age,city,member,review": "no feature column",
        "text=label": "also the target or the domain",
        "tekst=review": "unknown option .*nearest: test, text",
    }.items():
        with pytest.raises(InputError, match=says):
            load(f"{base}&{options}")


def test_equal_rows_stay_together_and_are_told(frame, here):
    # Each row of a training site three times; some of site 02 also at site 1.
    frame = pd.concat([frame[:N]] * 3 + [frame[N:], frame[N : N + 5].assign(site="1")])
    frame.to_csv("a.csv", index=False)
    task = load(f"a.csv{OPTIONS}&test=02", seed=0)
    sets = {
        k: {tuple(r) for r in v.columns["x"].tolist()}
        for k, v in {"train": task.train, "val": task.val, **task.tests}.items()
    }
    for one in sets:
        assert all(one == other or not sets[one] & sets[other] for other in sets)
    assert task.notes[0].startswith(f"{2 * N + 5} of {5 * N + 5} rows repeat")
    assert task.notes[1].startswith("5 training rows were left out")


def test_a_changed_file_is_read_again_and_has_another_fingerprint(frame, here):
    frame.to_csv("a.csv", index=False)
    before = load(f"a.csv{OPTIONS}&test=1")
    assert load(f"a.csv{OPTIONS}&test=1").fingerprint == before.fingerprint
    assert load(f"a.csv{OPTIONS}&test=02").fingerprint == before.fingerprint, "the data are the same"
    assert load(f"a.csv{OPTIONS},city&test=1").fingerprint != before.fingerprint
    frame.assign(age=frame["age"] * frame["age"]).to_csv("a.csv", index=False)
    os.utime("a.csv", ns=(1, 1))
    after = load(f"a.csv{OPTIONS}&test=1")
    assert after.fingerprint != before.fingerprint
    assert after.encoding["columns"][0]["mean"] != before.encoding["columns"][0]["mean"]


def test_rows_that_are_equal_by_chance_are_different_examples(frame, here):
    frame.to_csv("a.csv", index=False)
    task = load("a.csv?target=label&domain=site&features=city,member&test=02")
    assert len(task.train) + len(task.val) + len(task.tests["iid"]) == 2 * N
    assert task.notes[0].startswith("a.csv has 6 different rows of features among 120, as few as chance gives")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", r"say which column holds the label with target=; its columns are age, city, member, review, site, label"),
        ("?target=label", r"say which column holds the domain .* with domain="),
        ("?target=Label&domain=site", r"no column 'Label' \(target=Label\); its columns are label, "),
        ("?target=label&domain=sight", r"no column 'sight' \(domain=sight\); its columns are site, "),
        ("?target=site&domain=site", r"target and domain are the same column, 'site'"),
        ("?target=age&domain=site&drop=review", r"the target 'age' .* looks like a quantity"),
        ("?target=review&domain=site", r"the target 'review' .* looks like an identifier"),
        ("?target=label&domain=review", r"the domain column 'review' .* looks like an identifier"),
        ("?target=label&domain=site", r"the column 'review' .*drop=review.*text=review"),
        ("?target=label&domain=site&drop=review&test=3", r"unknown test domain of a.csv '3'"),
    ],
)
def test_wrong_options_end_with_one_sentence(frame, here, options, says):
    frame.to_csv("a.csv", index=False)
    with pytest.raises(InputError, match=says) as error:
        expand(f"a.csv{options}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"site": "01"}, r"a\.csv has one domain only \('01'\)"),
        ({"label": "sick"}, r"the labels of a\.csv are all the same"),
        ({"label": lambda f: f["label"].where(f.index != 5, "rare")}, r"the class 'rare' of a\.csv exists in one domain"),
        ({"label": lambda f: f["label"].where(f.index > 1)}, r"a\.csv has 2 missing labels .*first in row 1"),
        ({"site": lambda f: f["site"].where(f.index != 7)}, r"a\.csv has 1 missing domain .*first in row 8"),
        (
            {"age": lambda f: f["age"].where(f.index > 2, np.inf).where(f.index > 1), "city": lambda f: f["city"].where(f.index > 0)},
            r"3 missing and 1 infinite feature values: age \(2 missing and 1 infinite\), city \(1 missing\)",
        ),
        ({"age": lambda f: f["age"].astype(str).where(f.index > 3, "NA")}, r"4 missing feature values: age \(4 missing\)"),
        ({"when": lambda f: np.arange(len(f))}, r"the column 'when' of a\.csv only counts the rows"),
    ],
)  # fmt: skip
def test_wrong_data_end_with_one_sentence(frame, here, change, says):
    frame.assign(**change).to_csv("a.csv", index=False)
    with pytest.raises(InputError, match=says):
        expand(f"a.csv{OPTIONS}")


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"label,site,age\n", "no rows below its header"),
        ("a.csv", b"label,site,age\nx,1,2\nx,1,2,3\n", "cannot be read: .*line 3"),
        ("a.csv", b"label,site,age\nx,1,2,3\nx,1,2,3\n", "rows have more values than its header"),
        ("a.csv", b"label,site,site\nx,1,2\n", "two columns named 'site'"),
        ("a.csv", b"label,site\nx,\xff\n", "cannot be read: .*utf-8"),
        ("a.parquet", b"PAR1 not at all", "cannot be read: .*[Pp]arquet"),
    ],
)
def test_unreadable_files_end_with_one_sentence(here, file, content, says):
    (here / file).write_bytes(content)
    with pytest.raises(InputError, match=says) as error:
        expand(f"{file}?target=label&domain=site")
    assert "\n" not in str(error.value)


def test_absent_files_and_folders_in_place_of_files_are_told(here):
    (here / "folder.csv").mkdir()
    for name, says in {
        "csv:no.csv?target=y&domain=d": "file not found: no.csv",
        "csv:?target=y": "file not found",
        "csv:folder.csv?target=y&domain=d": "folder.csv is a folder",
    }.items():
        with pytest.raises(InputError, match=says):
            load(name)


def test_rows_without_text_are_refused(frame, here):
    frame.assign(review=frame["review"].where(frame.index != 3, "  ")).to_csv("a.csv", index=False)
    with pytest.raises(InputError, match=r"1 rows without text .*first in row 4"):
        load("a.csv?target=label&domain=site&text=review&test=1")
