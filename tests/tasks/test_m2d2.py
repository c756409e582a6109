"""M2D2's archives, in the layout of the hub, read into blocks of tokens; and a language model fine-tuned on them."""

import io
import math
import tarfile

import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks import m2d2
from farfield.tasks.next_token import WordTokenizer

TOKENIZER = WordTokenizer(["a", "b", "c", "d"])


def archive(folder, domain, **parts):
    """A tar.gz of one domain: DOMAIN/train.txt, DOMAIN/valid.txt, DOMAIN/test.txt."""
    path = folder / f"{domain}.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        for part, text in parts.items():
            info = tarfile.TarInfo(f"{domain}/{part}.txt")
            info.size = len(text.encode())
            opened.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def archives(tmp_path):
    trained = archive(tmp_path, "math_l1", train="a b\n" * 40 + "\n", valid="a b a b a\n", test="a b\n" * 10)
    others = {
        "Art": archive(tmp_path, "Art", test="c d c d c c d c\n" * 2),
        "cs_l1": archive(tmp_path, "cs_l1", test="a c\n" * 8),
    }
    return trained, others


def test_blocks_labels_and_domains(archives):
    trained, others = archives
    task = m2d2.task("m2d2/s2orc", trained, others, TOKENIZER, 4)
    assert (len(task.train), len(task.val)) == ((80 - 1) // 4, 1)
    first = task.train[:1]
    assert first["x"].tolist() == [[1, 2, 1, 2]] and first["y"].tolist() == [[2, 1, 2, 1]]
    assert task.far == ("Art", "cs_l1") and task.tests["Art"][:1]["x"].tolist() == [[3, 4, 3, 4]]
    assert task.domains == ("math_l1",) and task.outputs.count == 5 and task.inputs.length == 4


def test_files_are_found_with_and_without_their_folder_and_blank_lines_are_no_documents(tmp_path):
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        info = tarfile.TarInfo("./test.txt")
        text = b"one\n\n  \ntwo\n"
        info.size = len(text)
        opened.addfile(info, io.BytesIO(text))
    assert list(m2d2.documents(path, "test.txt")) == ["one\n", "two\n"]


def test_a_damaged_archive_and_a_missing_file_are_named(archives, tmp_path):
    trained, others = archives
    with pytest.raises(InputError, match=r"Art\.tar\.gz has no file train\.txt"):
        list(m2d2.documents(others["Art"], "train.txt"))
    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes(trained.read_bytes()[:60])
    with pytest.raises(InputError, match=r"damaged\.tar\.gz cannot be read"):
        list(m2d2.documents(damaged, "train.txt"))


def test_options_and_names_are_checked_before_anything_is_fetched():
    with pytest.raises(InputError, match="block is 0"):
        tasks.load("m2d2/wikipedia?block=0")
    with pytest.raises(InputError, match="'blok'"):
        m2d2.load(parse("m2d2/wikipedia?blok=4"), 0)
    assert "machelreid/m2d2" in tasks.hub_ids("m2d2/s2orc")
    for trained, others in m2d2.DOMAINS.values():
        assert len(others) == 10 and trained not in others


@pytest.mark.parametrize(
    "method", ["erm", "sam", "tram", "tram-x", "tram-pretrained", "tram-fisher", "trpo", "r3f", "mesa", "smart"]
)
def test_a_language_model_is_fine_tuned_and_judged_by_perplexity(method, archives, tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    from farfield.trials import finetune

    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=8, n_embd=16, n_layer=1, n_head=2, n_positions=4)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    trained, others = archives
    # Of three tokens, so that blocks differ.
    made = m2d2.task("m2d2/s2orc", trained, others, TOKENIZER, 3)
    monkeypatch.setattr(finetune.tasks, "load", lambda name, seed=0: made)
    point = {
        "task": "m2d2/s2orc", "model": f"hf:{tmp_path / 'gpt2'}", "method": method, "steps": 120, "batch_size": 4,
        "learning_rate": 0.05, "betas": (0.9, 0.99), "pretraining_steps": 0, "sharpness": 1e-3, "device": "cpu",
        # What is pretrained here is random, and far from what is learned.
        "options": {"tram-pretrained": {"max_radius": 0.1}},
    }  # fmt: skip
    found = finetune.trial(point, seed=0)
    # After a comes b, after b comes a: it is learned, and of no use where other words are.
    assert found["near_perplexity"] < 1.3 < 2 < found["far_perplexity"]
    assert found["near"] == pytest.approx(-math.log(found["near_perplexity"]))
    assert set(found["tests"]) == {"iid", "Art", "cs_l1"} and 0 < found["far_cka"] <= 1
