"""Raw text as numbers: hashed words for the built-in models, token ids for pretrained ones."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.nn.hub import load_tokenizer
from farfield.tasks.task import Tokens

WORDS = 4096
LENGTH = 128


def hash_words(texts: Sequence[str], *, size: int = WORDS) -> Float[Tensor, "n size"]:
    """Return the words and word pairs of each text, counted in ``size`` hashed bins.

    Nothing is learned from the data, so a new text gets the vector that it would have had in training. Rows have
    length sqrt(size), so that a feature is about 1 in size as other inputs are; a text without words is a row of zeros.

    Source: Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009, through scikit-learn.

    >>> vectors = hash_words(["a good book", "A good  book!"], size=64)
    >>> bool(vectors[0].equal(vectors[1])), round(float(vectors[0].norm()), 3)
    (True, 8.0)
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(n_features=size, ngram_range=(1, 2), norm="l2", dtype="float32")
    return torch.from_numpy(vectorizer.transform(list(texts)).toarray()) * size**0.5


def tokenizer(path: str, length: int | None) -> tuple[Callable[[Sequence[str]], Tensor], Tokens]:
    """Return the function texts -> token ids (n, length) int64 of a Hugging Face model, and what it makes.

    **Arguments:**
    - ``path``: a local folder or a hub id.
    - ``length``: tokens per text, special ones included; longer texts are cut, shorter ones padded on the right. None:
      128, or fewer where the model takes fewer.

    Raises InputError where there is no tokenizer, it has neither a padding nor an end token, or the model
    takes fewer tokens.

    >>> tokenizer("./no-such-folder", None)
    Traceback (most recent call last):
    farfield.errors.InputError: the model hf:./no-such-folder: there is no such folder
    """
    made = load_tokenizer(path, padding_side="right")
    if length is not None and length > made.model_max_length:
        raise InputError(f"length={length} of the model hf:{path} is above the {made.model_max_length} tokens it takes")
    length = length or min(LENGTH, made.model_max_length)
    if made.pad_token_id is None:
        # Models that only continue text have none. What is padded is masked, so any id serves.
        if made.eos_token_id is None:
            raise InputError(f"the tokenizer of hf:{path} has neither a padding nor an end token")
        made.pad_token = made.eos_token

    def tokenize(texts: Sequence[str]) -> Tensor:
        rows = made(list(texts), padding="max_length", truncation=True, max_length=length)["input_ids"]
        return torch.tensor(rows, dtype=torch.long)  # (n, length)

    return tokenize, Tokens(vocabulary=len(made), length=length, padding=made.pad_token_id)
