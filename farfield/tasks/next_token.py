"""Language modelling as a classification: blocks of tokens, and for each position the next token as its class."""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from farfield.errors import InputError
from farfield.tasks.task import Table, Tokens

UNKNOWN = "<unk>"
_WORDS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class NextToken:
    """Blocks of tokens ``x`` (n, t) and the token after each, ``y`` (n, t), which is the class of that position.

    **Fields:** ``train``, ``val``: tables with ``x`` and ``y`` (int32 where the text is long, else int64); ``inputs``: vocabulary and
    block length.

    >>> task = next_token("a b a b a b", WordTokenizer(["a", "b"]), block=1, validation=0.5)
    >>> isinstance(task, NextToken), str(task.inputs), len(task.train)
    (True, 'sequences of up to 1 tokens', 2)
    """

    train: Table
    val: Table
    inputs: Tokens


class WordTokenizer:
    """Lower-case words and punctuation marks, each its own token; those outside the vocabulary are ``<unk>``, token 0.

    **Arguments:** ``words``: the vocabulary without ``<unk>``, see `WordTokenizer.fit`.

    Raises InputError where a word comes twice.

    >>> tokenizer = WordTokenizer.fit("To be, or not to be", types=3)
    >>> tokenizer.words, tokenizer("Be not!")
    (('<unk>', 'be', 'to', ','), [1, 0, 0])
    """

    def __init__(self, words: Iterable[str]):
        self.words = (UNKNOWN, *words)
        self._ids = {word: i for i, word in enumerate(self.words)}
        if len(self._ids) < len(self.words):
            raise InputError("a word of the vocabulary comes twice")

    @classmethod
    def fit(cls, text: str, types: int) -> "WordTokenizer":
        """Return the tokenizer of the ``types`` most frequent words and marks of a text (ties in alphabetical order)."""
        if types < 1:
            raise InputError(f"types is {types}; it must be at least 1")
        counts = Counter(_WORDS.findall(text.lower()))
        return cls(sorted(counts, key=lambda word: (-counts[word], word))[:types])

    def __len__(self) -> int:
        return len(self.words)

    def __call__(self, text: str) -> list[int]:
        ids = self._ids
        return [ids.get(word, 0) for word in _WORDS.findall(text.lower())]


def next_token(
    text: str | Iterable[str],
    tokenizer: Callable[[str], Sequence[int]] | Any,
    block: int,
    *,
    validation: float | str | Iterable[str] = 0.1,
    separator: int | None = None,
    shuffle: int | None = None,
) -> NextToken:
    """Return text as blocks of tokens with the next token of each position as its label.

    Documents are joined and cut into blocks without gaps: block i holds tokens i t to (i + 1) t - 1, and its labels are those one
    later. Tokens that fill no block are left out.

    **Arguments:**
    - ``text``: one document, or any number of them, gone over once.
    - ``tokenizer``: a function of a text that returns token ids with ``len(tokenizer)`` tokens, such as `WordTokenizer`, or a
      tokenizer of Hugging Face, of which ``encode`` is called without special tokens.
    - ``block``: tokens in a block, at least 1.
    - ``validation``: the last share of the tokens (0 to 1, both excluded), or documents of their own.
    - ``separator``: a token put after each document.
    - ``shuffle``: a seed; both parts are put into a random order, so that nothing but the frequency of a token can be learned.

    Raises InputError where a part is shorter than one block and the token after it, or a token is outside the vocabulary.

    Source: Wu & Papyan, NeurIPS 2024: the class of a position is its *next* token.

    >>> task = next_token("a b a b a b a b a b", WordTokenizer(["a", "b"]), block=2, validation=0.3)
    >>> task.train[:2]["x"].tolist(), task.train[:2]["y"].tolist()
    ([[1, 2], [1, 2]], [[2, 1], [2, 1]])
    """
    if block < 1:
        raise InputError(f"block is {block}; it must be at least 1")
    vocabulary = len(tokenizer)
    if separator is not None and not 0 <= separator < vocabulary:
        raise InputError(f"separator is {separator}; expected 0 to {vocabulary - 1}")
    tokens = _encode(text, tokenizer, separator)
    if isinstance(validation, int | float):
        if not 0 < validation < 1:
            raise InputError(f"validation is {validation}; it must be between 0 and 1, both excluded, or texts")
        cut = round(len(tokens) * (1 - validation))
        parts = {"training": tokens[:cut], "validation": tokens[cut:]}
    else:
        parts = {"training": tokens, "validation": _encode(validation, tokenizer, separator)}
    tables = []
    for i, (name, ids) in enumerate(parts.items()):
        _check_tokens(ids, block, vocabulary, f"the {name} text")
        if shuffle is not None:
            ids = np.random.default_rng([shuffle, i]).permutation(ids)
        tables.append(_cut(ids, block))
    return NextToken(*tables, Tokens(vocabulary, block))


def blocks(text: str | Iterable[str], tokenizer: Callable[[str], Sequence[int]] | Any, block: int) -> Table:
    """Return one text as blocks of tokens ``x`` (n, t) with the next token of each position as ``y`` (n, t).

    **Arguments:** as `next_token`.

    Raises InputError as `next_token` does.

    >>> blocks("a b a b a", WordTokenizer(["a", "b"]), block=2)[:2]["y"].tolist()
    [[2, 1], [2, 1]]
    """
    tokens = _encode(text, tokenizer, None)
    _check_tokens(tokens, block, len(tokenizer), "the text")
    return _cut(tokens, block)


def _check_tokens(ids: np.ndarray, block: int, vocabulary: int, what: str) -> None:
    if len(ids) <= block:
        raise InputError(f"{what} has {len(ids)} tokens; a block of {block} needs {block + 1}")
    if not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary:
        raise InputError(f"the tokenizer made the token {int(ids.max())}, but it has {vocabulary}")


def _cut(ids: np.ndarray, block: int) -> Table:
    # Long texts stay at half the memory; models take both.
    ids = torch.from_numpy(ids if len(ids) > 1e7 else ids.astype(np.int64))
    n = (len(ids) - 1) // block
    return Table(x=ids[: n * block].view(n, block), y=ids[1 : n * block + 1].view(n, block))


def hub_tokenizer(name: str) -> Any:
    """Return the tokenizer of a Hugging Face model, by its id on the hub or its folder.

    Raises MissingExtra without the package transformers, InputError where it cannot be loaded.

    >>> hub_tokenizer("./no-such-folder")
    Traceback (most recent call last):
    farfield.errors.InputError: the model hf:./no-such-folder: there is no such folder
    """
    # Here, as models import tasks.
    from farfield.nn.hub import load_tokenizer

    return load_tokenizer(name)


def _encode(text: str | Iterable[str], tokenizer: Any, separator: int | None) -> np.ndarray:
    """Return the tokens of all documents in a row, int32."""
    encode = tokenizer
    if hasattr(tokenizer, "encode"):

        def encode(document: str) -> Sequence[int]:
            return tokenizer.encode(document, add_special_tokens=False)

    # Four bytes a token, and it grows in place: a list of Python numbers would take nine times as much.
    tokens = array("i")
    for document in [text] if isinstance(text, str) else text:
        tokens.extend(encode(document))
        if separator is not None:
            tokens.append(separator)
    return np.frombuffer(tokens, dtype=np.int32).copy() if len(tokens) else np.zeros(0, np.int32)
