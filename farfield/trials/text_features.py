"""Embeddings of a task's texts, computed once: weighted words in few dimensions, or a frozen pretrained encoder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from farfield import nn, tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.study.stage import stage
from farfield.tasks.platform_text import PlatformText
from farfield.tasks.task import Classes, Table, Task, Text, Vector, column
from farfield.train import predict
from farfield.trials.cues import cue_states, word_cues

# A longer input vector is taken for counts of words.
WIDEST = 1024


def embedded(task: str, *, encoder: str = "tfidf", width: int = 128, cues: Sequence[str] = (), seed: int = 0) -> Task:
    """Return a task with embeddings in place of its texts, standardised over the training rows.

    **Arguments:**
    - ``task``: of texts, of counts of words, or of vectors (taken as they are). Its column ``domain`` is the nuisance; tests
      without one get -1, not known.
    - ``encoder``: "tfidf" (words and word pairs in at least two training texts, weighted, then a truncated singular value
      decomposition to ``width``, all fitted to the training rows), "tfidf-words" (without the pairs), or "hf:...": first-token
      states of a frozen encoder.
    - ``cues``: for each a column ``cue 0``, ``cue 1``: see `farfield.trials.cues.cue_states`; "words:own" takes the two word lists that
      the made-up posts of ``platform-text`` come with. Only where there are texts.

    Raises InputError on an unknown encoder or cue.
    """
    return _embedded(task, encoder, width, tuple(cues), seed)


@functools.lru_cache(maxsize=2)
def _embedded(task: str, encoder: str, width: int, cues: tuple[str, ...], seed: int) -> Task:
    # A worker meets the same task for every recipe in turn.
    loaded = tasks.load(task, seed=seed)
    found = _arrays(task=task, encoder=encoder, width=width, cues=list(cues), seed=seed)
    names = {"train": loaded.train, "val": loaded.val, **loaded.tests}
    splits = {}
    for i, (name, split) in enumerate(names.items()):
        mine = {k.split("/", 1)[1]: v for k, v in found.items() if k.startswith(f"{i}/")}
        y = column(split, "y")
        domain = split.columns.get("domain", torch.full_like(y, -1))
        splits[name] = Table(**mine, y=y, domain=domain)
    return dataclasses.replace(
        loaded,
        train=splits.pop("train"),
        val=splits.pop("val"),
        tests=splits,
        inputs=Vector(found["0/x"].shape[1]),
    )


@stage
def _arrays(*, task: str, encoder: str, width: int, cues: list[str], seed: int) -> dict[str, Tensor]:
    """Return ``i/x`` and ``i/cue j`` for the i-th split: training, validation, then the tests in order; ``i/tokens`` for hf:."""
    loaded = tasks.load(task, seed=seed)
    splits = [loaded.train, loaded.val, *loaded.tests.values()]
    texts = [s.columns["x"].tolist() for s in splits] if isinstance(loaded.inputs, Text) else None
    tokens: list[Tensor] = []
    if encoder.startswith("hf:") and texts is not None:
        tokens = [nn.prepare(encoder, _only_texts(t)).train.columns["x"] for t in texts]
        xs = [first_token_states(t, encoder) for t in texts]
    elif encoder not in ("tfidf", "tfidf-words"):
        raise InputError(
            f"encoder is {encoder!r}; it must be 'tfidf', 'tfidf-words', or 'hf:...' for a task of texts ({task})"
        )
    elif texts is not None:
        xs = _lsa(texts, width, longest=2 if encoder == "tfidf" else 1)
    else:
        xs = [column(s, "x").float() for s in splits]
        xs = _lsa(xs, width) if xs[0].shape[1] > WIDEST else xs
    mean, std = xs[0].mean(0), xs[0].std(0).clamp(min=1e-6)
    found = {f"{i}/x": (x - mean) / std for i, x in enumerate(xs)}
    found |= {f"{i}/tokens": t for i, t in enumerate(tokens)}
    for j, cue in enumerate(cues if texts is not None else ()):
        states = [_cue(t, cue, j) for t in texts]
        mean, std = states[0].mean(0), states[0].std(0)
        # A word that never comes up in training says nothing.
        scale = torch.where(std > 0, std, torch.inf)
        found |= {f"{i}/cue {j}": (s - mean) / scale for i, s in enumerate(states)}
    return found


def _cue(texts: Sequence[str], cue: str, j: int) -> Tensor:
    if cue == "words:own":
        return word_cues(texts, [list(PlatformText(1).cues.values())[j]])
    return cue_states(texts, cue)


def _lsa(parts: Sequence[Sequence[str]] | Sequence[Tensor], width: int, *, longest: int = 2) -> list[Tensor]:
    """Return the truncated singular vectors of tf-idf weights, fitted to the first part, for texts or for counts."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer

    if isinstance(parts[0], Tensor):
        import scipy.sparse

        weigh = TfidfTransformer(sublinear_tf=True)
        parts = [scipy.sparse.csr_matrix(p.numpy()) for p in parts]
    else:
        weigh = TfidfVectorizer(ngram_range=(1, longest), min_df=2)
    first = weigh.fit_transform(parts[0])
    if min(first.shape) <= width:
        raise InputError(
            f"there are {first.shape[0]} training rows of {first.shape[1]} words; {width} dimensions need more"
        )
    reduce = TruncatedSVD(width, random_state=0).fit(first)
    return [torch.from_numpy(reduce.transform(weigh.transform(p)).astype(np.float32)) for p in parts]


def first_token_states(texts: Sequence[str], model: str, *, length: int = 128) -> Tensor:
    """Return the first-token states (n, d) of a frozen pretrained text encoder.

    **Arguments:** ``model``: ``hf:...``; ``length``: tokens per text, where the name has no ``?length=``.

    Raises InputError where the model cannot be loaded, MissingExtra without the package transformers.

    >>> first_token_states(["a text"], "hf:./no-such-folder")
    Traceback (most recent call last):
    farfield.errors.InputError: the model hf:./no-such-folder: there is no such folder
    """
    name = parse(model)
    name = name.with_options(**{"length": str(length), **name.options, "pool": "cls"})
    task = nn.prepare(str(name), _only_texts(texts))
    encoder = nn.load(str(name), task).encoder
    return predict(encoder.to("cuda" if torch.cuda.is_available() else "cpu"), task.train, batch_size=64)


def _only_texts(texts: Sequence[str]) -> Task:
    zeros = torch.zeros(len(texts), dtype=torch.long)
    rows = Table(x=list(texts), y=zeros, domain=zeros)
    return Task("texts", rows, rows, {"iid": rows}, Text(), Classes(2), ("texts",))
