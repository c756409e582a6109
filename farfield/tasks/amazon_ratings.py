"""From the text of an Amazon review to its rating, across kinds of products (reviews of 2023)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from itertools import islice

import numpy as np
import torch

from farfield.errors import InputError, MissingExtra, unknown_name
from farfield.names import Name
from farfield.tasks.task import Classes, Table, Task, Text

SOURCE = "McAuley-Lab/Amazon-Reviews-2023"
HUB = (SOURCE,)
CATEGORIES = ("Books", "Movies_and_TV", "Electronics", "Home_and_Kitchen")
NAMES = tuple(f"amazon-ratings/{category}" for category in CATEGORIES)
ROWS, TEST_ROWS = 30_000, 5000
RATINGS = 5


def expand(name: Name) -> list[Name]:
    """Return the task itself. Raises InputError on an unknown name, with the nearest known ones.

    >>> from farfield.names import parse
    >>> expand(parse("amazon-ratings/Book"))
    Traceback (most recent call last):
    farfield.errors.InputError: unknown task 'amazon-ratings/Book'; nearest: amazon-ratings/Books, ...
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task: how many stars (five classes) does a review give? Trained on one category, tested on it and on three others.

    Text is title and review. The first 30,000 reviews of the category with a text are split by
    ``seed``: 20,000 to train on, 5,000 for validation, 5,000 near; far are the first 5,000 of each
    other category. They are read from the Hugging Face hub.

    Raises InputError on an unknown name or where the data cannot be had, MissingExtra without the
    package datasets.
    """
    expand(name)
    name.check_options([])
    home = name.path.partition("/")[2]
    tests, digest = {}, hashlib.sha256()
    for category in CATEGORIES:
        table = ratings(_rows(category), ROWS if category == home else TEST_ROWS)
        digest.update("\0".join(table.columns["x"].tolist()).encode())
        tests[category] = table
    rows = tests.pop(home)
    rows = rows.replace(domain=torch.zeros(len(rows), dtype=torch.long))
    order = torch.from_numpy(np.random.default_rng([seed, 0xA2]).permutation(len(rows)))
    held = max(1, len(rows) // 6)
    return Task(
        str(name),
        rows.take(order[2 * held :]),
        rows.take(order[:held]),
        {"iid": rows.take(order[held : 2 * held]), **tests},
        Text(),
        Classes(RATINGS, tuple(f"{stars + 1} stars" for stars in range(RATINGS))),
        domains=(home,),
        notes=("Amazon Reviews 2023 (Hou et al., 2024) is for research.",),
        fingerprint=digest.hexdigest(),
    )


def ratings(rows: Iterable[Mapping[str, object]], most: int) -> Table:
    """Return the first reviews that have a text and a rating of 1 to 5 as a Table: ``x`` title and text, ``y`` from 0 to 4.

    Raises InputError where there are none.

    >>> ratings([{"title": "Good", "text": "I read it.", "rating": 5.0}, {"title": "", "text": " ", "rating": 1.0}], 9)[[0]]
    {'x': ['Good. I read it.'], 'y': tensor([4])}
    """
    found = []
    usable = (row for row in rows if str(row["text"]).strip() and row["rating"] in (1, 2, 3, 4, 5))
    for row in islice(usable, most):
        title, text = str(row["title"] or "").strip(), str(row["text"]).strip()
        found.append((f"{title}. {text}" if title else text, int(float(str(row["rating"]))) - 1))
    if not found:
        raise InputError("there is no review with a text and a rating from 1 to 5")
    texts, stars = zip(*found)
    return Table(x=np.asarray(texts, dtype=object), y=torch.tensor(stars))


def _rows(category: str) -> Iterable[Mapping[str, object]]:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", extra="hf", needed_by="the task amazon-ratings") from error
    # The files themselves: the data set comes with code, and code is never run. Streamed, since a category is gigabytes.
    file = f"hf://datasets/{SOURCE}/raw/review_categories/{category}.jsonl"
    try:
        yield from datasets.load_dataset("json", data_files=file, split="train", streaming=True)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"the reviews of {category} in hf:{SOURCE} cannot be had: {first}") from error
