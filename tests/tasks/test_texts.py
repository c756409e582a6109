import datasets
import pytest

from farfield.errors import InputError
from farfield.tasks import Texts, load_texts


@pytest.mark.needs_data("tiny-shakespeare")
def test_tiny_shakespeare_is_one_document():
    found = load_texts("tiny-shakespeare")
    (text,) = found.train
    assert text.startswith("First Citizen:\nBefore we proceed") and len(text) == 1_115_394
    assert found.validation is None


def test_a_file_is_one_document(tmp_path):
    (tmp_path / "a.txt").write_text("été\n", encoding="utf-8")
    assert load_texts(str(tmp_path / "a.txt")) == Texts(["été\n"], None)


def test_a_hub_data_set_has_a_document_a_row_and_can_be_gone_over_again(tmp_path):
    def rows(*texts):
        return datasets.Dataset.from_dict({"text": list(texts), "n": list(range(len(texts)))})

    stories = [f"story {i}" for i in range(2500)]
    datasets.DatasetDict(train=rows(*stories), validation=rows("c")).save_to_disk(tmp_path / "both")
    found = load_texts(f"hf:{tmp_path / 'both'}")
    assert list(found.train) == stories == list(found.train) and list(found.validation) == ["c"]
    datasets.DatasetDict(train=rows("a")).save_to_disk(tmp_path / "one")
    assert load_texts(f"hf:{tmp_path / 'one'}").validation is None
    datasets.DatasetDict(train=rows("a").rename_column("text", "story")).save_to_disk(tmp_path / "named")
    assert list(load_texts(f"hf:{tmp_path / 'named'}?text=story").train) == ["a"]
    with pytest.raises(InputError, match="unknown column of hf:"):
        load_texts(f"hf:{tmp_path / 'named'}")


def test_bad_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="unknown text 'tiny-shakespear'; nearest: tiny-shakespeare"):
        load_texts("tiny-shakespear")
    with pytest.raises(InputError, match=r"none\.txt cannot be read"):
        load_texts(str(tmp_path / "none.txt"))
    (tmp_path / "latin.txt").write_bytes(b"\xe9")
    with pytest.raises(InputError, match=r"latin\.txt cannot be read"):
        load_texts(str(tmp_path / "latin.txt"))
    with pytest.raises(InputError, match="folder not found"):
        load_texts(f"hf:{tmp_path / 'nowhere'}/")
    with pytest.raises(InputError, match="unknown option"):
        load_texts("hf:x?column=text")
