"""Natural language inference across languages: trained on English MultiNLI, tested on XNLI's fifteen languages."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from farfield.errors import InputError, MissingExtra
from farfield.names import Name
from farfield.tasks.task import Classes, Table, Task, Text

if TYPE_CHECKING:
    from datasets import Dataset

NAMES = ("xnli",)
CLASSES = ("entailment", "neutral", "contradiction")
HUB = TRAINING, TESTING = "nyu-mll/multi_nli", "facebook/xnli"
# How RoBERTa and XLM-R mark the border of two texts; their tokenizers read it as the special tokens.
SEPARATOR = " </s></s> "
NOTE = (
    "MultiNLI (Williams et al., 2018) is licensed by part: CC BY-SA and others; XNLI (Conneau et al., 2018) is CC BY-NC: not for "
    "commercial use."
)


def expand(name: Name) -> list[Name]:
    """Return the task itself."""
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task: does the premise entail the hypothesis, contradict it, or neither?

    Text is ``premise </s></s> hypothesis``, as XLM-R is given pairs. Training: the 392,702 pairs of MultiNLI, of which 2,000 drawn by
    ``seed`` are for validation. Near: XNLI's English test; far: its fourteen other languages, 5,010 pairs each.

    Both come from the Hugging Face hub on first use (about 250 MB). Raises MissingExtra without the package datasets, InputError
    where they cannot be had.
    """
    name.check_options([])
    english, tests = _read()
    order = np.random.default_rng([seed, 0x21]).permutation(len(english))
    train, val = (english.take(torch.from_numpy(part)) for part in (order[2000:], order[:2000]))
    digest = hashlib.sha256()
    for table in (english, *tests.values()):
        digest.update("\n".join(table.columns["x"].tolist()).encode())
    return Task(
        str(name),
        train,
        val,
        {"iid" if language == "en" else language: table for language, table in tests.items()},
        Text(),
        Classes(3, CLASSES),
        ("en",),
        notes=(NOTE,),
        fingerprint=digest.hexdigest(),
    )


def _read() -> tuple[Table, dict[str, Table]]:
    try:
        from datasets import load_dataset
    except ModuleNotFoundError as error:
        raise MissingExtra("datasets", extra="hf", needed_by="the task xnli") from error
    try:
        training = load_dataset(TRAINING, split="train")
        testing = load_dataset(TESTING, "all_languages", split="test")
    except (OSError, ConnectionError, ValueError) as error:
        raise InputError(
            f"the task xnli needs the data sets {TRAINING} and {TESTING} of the Hugging Face hub, which cannot be had here: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return pairs(training), by_language(testing)


def pairs(rows: Dataset) -> Table:
    """Return premise and hypothesis as one text each, with domain 0; rows without a gold label (-1) are left out.

    >>> from datasets import Dataset
    >>> pairs(Dataset.from_dict({"premise": ["A.", "B."], "hypothesis": ["C.", "D."], "label": [2, -1]})).columns["x"].tolist()
    ['A. </s></s> C.']
    """
    columns = rows.with_format(None)[:]
    kept = [i for i, label in enumerate(columns["label"]) if label >= 0]
    return _table([(columns["premise"][i], columns["hypothesis"][i], columns["label"][i]) for i in kept])


def by_language(rows: Dataset) -> dict[str, Table]:
    """Return XNLI's ``all_languages`` rows as a table per language, English first.

    >>> from datasets import Dataset
    >>> rows = Dataset.from_dict({"premise": [{"de": "Ja.", "en": "Yes."}],
    ...     "hypothesis": [{"language": ["de", "en"], "translation": ["Nein.", "No."]}], "label": [2]})
    >>> {language: table.columns["x"].tolist() for language, table in by_language(rows).items()}
    {'en': ['Yes. </s></s> No.'], 'de': ['Ja. </s></s> Nein.']}
    """
    found: dict[str, list[tuple[str, str, int]]] = {"en": []}
    for row in rows:
        said: dict[str, Any] = dict(zip(row["hypothesis"]["language"], row["hypothesis"]["translation"]))
        for language, premise in row["premise"].items():
            found.setdefault(language, []).append((premise, said[language], row["label"]))
    return {language: _table(triples) for language, triples in found.items()}


def _table(triples: list[tuple[str, str, int]]) -> Table:
    return Table(
        x=[f"{premise}{SEPARATOR}{hypothesis}" for premise, hypothesis, _ in triples],
        y=torch.tensor([label for *_, label in triples]),
        domain=torch.zeros(len(triples), dtype=torch.long),
    )
