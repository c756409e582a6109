import json

import pytest

from farfield import tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks import amazon_ratings
from farfield.tasks.amazon_ratings import CATEGORIES, load, ratings


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Small files of reviews where the hub's files would be read, by the real reader of JSON lines."""
    datasets = pytest.importorskip("datasets")
    for category in CATEGORIES:
        rows = [
            {"title": f"{category} {i}", "text": "" if i % 7 == 0 else "text", "rating": float(i % 5 + 1)}
            for i in range(40)
        ]
        (tmp_path / f"{category}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    real = datasets.load_dataset

    def local(kind, data_files, **more):
        return real(kind, data_files=str(tmp_path / data_files.rpartition("/")[2]), **more)

    monkeypatch.setattr(datasets, "load_dataset", local)
    monkeypatch.setattr(amazon_ratings, "ROWS", 24)
    monkeypatch.setattr(amazon_ratings, "TEST_ROWS", 10)
    return tmp_path


def test_the_category_is_split_and_the_others_are_far(files):
    task = load(parse("amazon-ratings/Books"), 0)
    assert (len(task.train), len(task.val), len(task.tests["iid"])) == (16, 4, 4)
    assert task.far == CATEGORIES[1:] and all(len(task.tests[c]) == 10 for c in task.far)
    texts = [t for split in (task.train, task.val, task.tests["iid"]) for t in split.columns["x"].tolist()]
    assert len(set(texts)) == 24 and all(t.startswith("Books ") for t in texts)
    for split in (task.train, *task.tests.values()):
        # The number in the title tells the rating.
        for text, y in zip(split.columns["x"].tolist(), split.columns["y"].tolist()):
            number = int(text.partition(".")[0].rpartition(" ")[2])
            assert y == number % 5 and number % 7
    assert load(parse("amazon-ratings/Books"), 1).train.columns["x"].tolist() != task.train.columns["x"].tolist()


def test_what_cannot_be_had_is_told_in_one_sentence(files):
    (files / "Electronics.jsonl").unlink()
    with pytest.raises(
        InputError, match="the reviews of Electronics in hf:McAuley-Lab/Amazon-Reviews-2023 cannot be had"
    ):
        load(parse("amazon-ratings/Books"), 0)
    with pytest.raises(InputError, match="no review with a text"):
        ratings([{"title": "", "text": "", "rating": 3.0}], 5)


def test_it_is_known_by_name_without_fetching_it():
    assert tasks.expand("amazon-ratings/Books") == ["amazon-ratings/Books"]
    assert tasks.hub_ids("amazon-ratings/Books") == ("McAuley-Lab/Amazon-Reviews-2023",)
