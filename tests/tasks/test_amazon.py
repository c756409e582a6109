import lzma
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks import amazon, fetch
from farfield.tasks.amazon import DOMAINS, NAMES, expand, load
from farfield.tasks.task import column

real = pytest.mark.needs_data("amazon-reviews")
REAL = os.environ.get("FARFIELD_DATA", "")
TEST_ROWS = {"books": 4465, "dvd": 3586, "electronics": 5681, "kitchen": 5945}


@pytest.fixture
def own_data(monkeypatch, tmp_path):
    """A $FARFIELD_DATA of the test's own; what was read before is forgotten, and again afterwards."""
    monkeypatch.setenv("FARFIELD_DATA", str(tmp_path))
    amazon._reviews.cache_clear()
    yield tmp_path / "amazon-reviews"
    amazon._reviews.cache_clear()


def published(file: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one file another way than the library does: line by line."""
    content = fetch.read(Path(REAL, "amazon-reviews"), f"{file}.svmlight")
    lines = [line.split() for line in content.decode().splitlines()]
    x = np.zeros((len(lines), 5000), np.float32)
    for i, line in enumerate(lines):
        for entry in line[1:]:
            feature, value = entry.split(":")
            x[i, int(feature)] = float(value)
    return x, np.array([float(line[0]) > 0 for line in lines]).astype(int)


def rows(split) -> list[bytes]:
    return [row.tobytes() for row in column(split, "x").numpy()]


@real
def test_a_pair_has_the_published_rows():
    task = load(parse("amazon/dvd-kitchen"), seed=0)
    assert (task.domains, task.far, task.inputs.size) == (("dvd",), ("kitchen",), 5000)
    assert task.outputs.names == ("negative", "positive")
    x, y = published("kitchen_test")
    assert np.array_equal(column(task.tests["kitchen"], "x").numpy(), x)
    assert np.array_equal(column(task.tests["kitchen"], "y").numpy(), y)
    train_x, train_y = published("dvd_train")
    by_row = dict(zip((r.tobytes() for r in train_x), train_y))
    for split in (task.train, task.val):
        assert [by_row[r] for r in rows(split)] == column(split, "y").tolist()
    assert len(task.val) == pytest.approx(0.2 * (len(task.train) + len(task.val)), abs=3)


@real
@pytest.mark.parametrize(
    "path", ["amazon/leave-out-electronics", "amazon/books", "amazon/kitchen-electronics", "amazon"]
)
def test_no_review_lies_in_two_splits_and_all_are_accounted_for(path):
    task = load(parse(path), seed=0)
    sets = {k: set(rows(s)) for k, s in {"train": task.train, "val": task.val, **task.tests}.items()}
    for a in sets:
        for b in sets:
            assert a == b or not sets[a] & sets[b], f"{a} and {b} share a review"
    numbers = {note.split(maxsplit=2)[1]: int(note.split()[0]) for note in task.notes}
    left_out = {"training": numbers.get("training", 0), "test": numbers.get("test", 0)}
    assert len(task.train) + len(task.val) + left_out["training"] == 2000 * len(task.domains)
    tested = set(task.domains) | set(task.far)
    assert sum(len(s) for s in task.tests.values()) + left_out["test"] == sum(TEST_ROWS[d] for d in tested)
    assert left_out["training"] > 0


@real
def test_domains_are_the_training_domains_of_each_row():
    task = load(parse("amazon/leave-out-books"), seed=0)
    assert task.domains == ("dvd", "electronics", "kitchen")
    homes = {d: {r.tobytes() for part in ("train", "test") for r in published(f"{d}_{part}")[0]} for d in task.domains}
    for split in (task.val, task.tests["iid"]):
        names = [task.domains[d] for d in column(split, "domain")]
        assert all(r in homes[n] for r, n in zip(rows(split), names))
        assert set(names) == set(task.domains)


@real
def test_the_seed_decides_training_and_validation_only():
    first, again, other = (load(parse("amazon/books-dvd"), seed) for seed in (0, 0, 1))
    assert torch.equal(column(first.train, "x"), column(again.train, "x"))
    assert rows(first.val) != rows(other.val)
    for label in first.tests:
        assert torch.equal(column(first.tests[label], "x"), column(other.tests[label], "x"))
    assert first.fingerprint == other.fingerprint != load(parse("amazon/dvd-books"), 0).fingerprint


@real
def test_plain_and_compressed_files_are_the_same(own_data):
    own_data.mkdir()
    for domain in DOMAINS:
        for part in ("train", "test"):
            content = fetch.read(Path(REAL, "amazon-reviews"), f"{domain}_{part}.svmlight")
            # The first 60 reviews of each file, so that this is quick.
            (own_data / f"{domain}_{part}.svmlight").write_bytes(b"".join(content.splitlines(keepends=True)[:60]))
    plain = load(parse("amazon/books-dvd"), seed=0)
    for file in list(own_data.iterdir()):
        Path(f"{file}.xz").write_bytes(lzma.compress(file.read_bytes(), preset=0))
        file.unlink()
    amazon._reviews.cache_clear()
    compressed = load(parse("amazon/books-dvd"), seed=0)
    assert plain.fingerprint == compressed.fingerprint
    assert torch.equal(column(plain.train, "x"), column(compressed.train, "x"))


def test_a_damaged_file_is_named(own_data):
    own_data.mkdir()
    for domain in DOMAINS:
        for part in ("train", "test"):
            (own_data / f"{domain}_{part}.svmlight").write_text("1 0:1\n-1 5:2\n")
    (own_data / "dvd_test.svmlight").write_text("1 7000:1\n")
    with pytest.raises(InputError, match=r"dvd_test\.svmlight is not svmlight text of 5000 features"):
        load(parse("amazon"), seed=0)


def test_families_expand():
    assert [n.path for n in expand(parse("amazon"))] == [f"amazon/leave-out-{d}" for d in DOMAINS]
    pairs = [n.path for n in expand(parse("amazon/pairs"))]
    assert len(set(pairs)) == 12
    assert set(pairs) == {f"amazon/{a}-{b}" for a in DOMAINS for b in DOMAINS if a != b}
    for path in NAMES[1:]:
        assert [n.path for n in expand(parse(path))] == [path]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("amazon/boks", "unknown task 'amazon/boks'; nearest: amazon/books"),
        ("amazon/books-books", "unknown task"),
        ("amazon/pairs", "several tasks; load one of amazon/books-dvd"),
        ("amazon/books?rows=5", "unknown option"),
    ],
)
def test_bad_input_is_named(name, says):
    with pytest.raises(InputError, match=says):
        load(parse(name), seed=0)
