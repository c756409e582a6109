import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks import NextToken, WordTokenizer, hub_tokenizer, next_token


class Letters:
    """Each letter a token; counts how often a document was read."""

    def __len__(self):
        return 26

    def __call__(self, text):
        return [ord(c) - ord("a") for c in text]


def letters(tables, column):
    return ["".join(chr(97 + int(i)) for i in row) for row in tables[:][column]]


@given(st.text("abcdefg", min_size=8, max_size=80), st.integers(1, 5))
def test_the_label_of_each_position_is_the_token_after_it(text, block):
    task = next_token(text, Letters(), block, validation="zzzzzz")
    x, y = letters(task.train, "x"), letters(task.train, "y")
    n = (len(text) - 1) // block
    assert "".join(x) == text[: n * block] and "".join(y) == text[1 : n * block + 1]
    assert len(x) == n and all(len(row) == block for row in x)


def test_the_last_share_is_for_validation_and_no_label_crosses_over():
    task = next_token("abcdefghijklmnopqrst", Letters(), 2, validation=0.3)
    assert letters(task.train, "x") == ["ab", "cd", "ef", "gh", "ij", "kl"]
    assert letters(task.train, "y")[-1] == "lm"
    assert letters(task.val, "x") == ["op", "qr"] and letters(task.val, "y") == ["pq", "rs"]
    assert isinstance(task, NextToken) and (task.inputs.vocabulary, task.inputs.length) == (26, 2)


def test_documents_are_read_once_and_joined_with_a_separator():
    documents = iter(["abc", "de", "fgh"])
    task = next_token(documents, Letters(), 3, validation=["xy", "xy", "x"], separator=25)
    assert letters(task.train, "x") == ["abc", "zde", "zfg"] and letters(task.val, "y") == ["yzx", "yzx"]


def test_a_shuffle_keeps_the_frequencies_and_nothing_else():
    text = "ab" * 400
    plain, first, again, other = (next_token(text, Letters(), 4, shuffle=s, validation=0.25) for s in (None, 0, 0, 1))
    for part in ("train", "val"):
        tables = [getattr(task, part)[:] for task in (plain, first, again, other)]
        assert torch.equal(tables[1]["x"], tables[2]["x"]) and not torch.equal(tables[1]["x"], tables[3]["x"])
        assert float((tables[0]["x"] == tables[0]["y"]).float().mean()) == 0
        assert float((tables[1]["x"] == tables[1]["y"]).float().mean()) == pytest.approx(0.5, abs=0.1)
        assert abs(int(tables[1]["x"].sum()) - int(tables[0]["x"].sum())) <= 4
        # Within the order that was drawn, a label is still the token after its position.
        assert torch.equal(tables[1]["x"].flatten()[1:], tables[1]["y"].flatten()[:-1])


def test_words_are_lower_case_and_marks_are_words():
    tokenizer = WordTokenizer.fit("The cat, the dog; the CAT!", types=3)
    # Most frequent first, ties in alphabetical order.
    assert tokenizer.words == ("<unk>", "the", "cat", "!")
    assert tokenizer("A cat! The end") == [0, 2, 3, 1, 0] and len(tokenizer) == 4
    assert WordTokenizer.fit("know't", types=9).words == ("<unk>", "'", "know", "t")


@pytest.mark.needs_data("tiny-shakespeare")
def test_tiny_shakespeare_has_the_published_number_of_tokens():
    from farfield.tasks import load_texts

    (text,) = load_texts("tiny-shakespeare").train
    tokenizer = WordTokenizer.fit(text, types=511)
    task = next_token(text, tokenizer, 64)
    assert len(text) == 1_115_394 and len(tokenizer(text)) == 262_927
    assert len(tokenizer) == 512 and len(task.train) == 236_634 // 64 and len(task.val) == 26_292 // 64
    assert tokenizer.words[1:4] == (",", ":", ".")


def test_a_tokenizer_of_hugging_face_is_asked_without_special_tokens(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2, "<s>": 3}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 3)])
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>").save_pretrained(tmp_path)
    tokenizer = hub_tokenizer(str(tmp_path))
    assert tokenizer.encode("a b") == [3, 1, 2]
    task = next_token(["a b", "b a c"], tokenizer, 2, validation="a b a")
    assert task.train[:]["x"].tolist() == [[1, 2], [2, 1]] and task.train[:]["y"].tolist() == [[2, 2], [1, 0]]
    assert task.inputs.vocabulary == 4


def test_bad_arguments_are_refused():
    text = "abcdefghij" * 3
    for arguments, says in [
        ({"block": 0}, "block is 0"),
        ({"validation": 0.0}, "validation is 0.0; it must be between 0 and 1"),
        ({"validation": 1}, "validation is 1; it must be between"),
        ({"validation": "ab"}, "the validation text has 2 tokens; a block of 2 needs 3"),
        ({"block": 40}, "the training text has 27 tokens; a block of 40 needs 41"),
        ({"separator": 26}, "separator is 26; expected 0 to 25"),
    ]:
        with pytest.raises(InputError, match=says):
            next_token(text, Letters(), **({"block": 2} | arguments))
    with pytest.raises(InputError, match="the training text has 0 tokens"):
        next_token([], Letters(), 2, validation="abcdef")
    with pytest.raises(InputError, match="made the token 29, but it has 26"):
        next_token(text + chr(97 + 29) * 10 + text, Letters(), 2)
    with pytest.raises(InputError, match="types is 0"):
        WordTokenizer.fit("a", 0)
    with pytest.raises(InputError, match="comes twice"):
        WordTokenizer(["a", "a"])
