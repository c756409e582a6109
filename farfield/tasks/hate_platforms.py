"""Hate speech on real platforms: HateXplain (Gab, Twitter) and the Measuring Hate Speech corpus, with the group that is attacked.

Trained on one platform, tested on the others; the training domains are the groups. Texts are offensive.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from farfield.errors import InputError, MissingExtra, unknown_name
from farfield.names import Name
from farfield.tasks.split import assign, duplicate_groups, duplicate_notes
from farfield.tasks.task import Classes, Table, Task, Text

if TYPE_CHECKING:
    import pandas as pd

HUB = HATEXPLAIN, MEASURING = "Hate-speech-CNERG/hatexplain", "ucberkeley-dlab/measuring-hate-speech"
GROUPS = ("race", "religion", "origin", "gender", "sexuality", "age", "disability", "other")
# Measuring Hate Speech numbers its platforms (Reddit, Twitter, YouTube) without saying which is which.
PLATFORMS = ("gab", "twitter", "mhs-0", "mhs-1", "mhs-2", "mhs-3")
NAMES = tuple(f"hate-platforms/{q}" for q in PLATFORMS)
NOTE = (
    "HateXplain's repository is under the MIT licence, its data for research; Measuring Hate Speech is licensed CC BY 4.0. "
    "Their texts are offensive."
)
TARGETS = {
    "race": "African Arab Asian Caucasian Hispanic Indian Indigenous",
    "religion": "Islam Jewish Christian Buddhism Hindu Nonreligious",
    "origin": "Refugee Immigrant",
    "gender": "Women Men",
    "sexuality": "Homosexual Heterosexual Bisexual Asexual Gay",
    "disability": "Disability",
}
GROUP_OF = {target: group for group, targets in TARGETS.items() for target in targets.split()}


def expand(name: Name) -> list[Name]:
    """Return the task itself. Raises InputError on an unknown name, with the nearest known ones.

    >>> from farfield.names import parse
    >>> expand(parse("hate-platforms/facebook"))
    Traceback (most recent call last):
    farfield.errors.InputError: unknown task 'hate-platforms/facebook'; known: hate-platforms/gab, ...
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task: is a post hateful? Trained on the platform of the name, tested on each of the others.

    - HateXplain: the majority of a post's annotators; "hatespeech" against "normal", posts called offensive are left out. The group
      is the one named most often, of eight.
    - Measuring Hate Speech: a score above 0.5 is hateful, below -1 is not; posts between are left out. The group is the one that
      most annotators marked.

    Both come from the Hugging Face hub on first use. Posts of the training platform are split by ``seed``.

    Raises MissingExtra without the package datasets, InputError where they cannot be had, or a platform or one of its classes has
    no posts.
    """
    expand(name)
    name.check_options([])
    posts = _posts()
    source = name.path.partition("/")[2]
    mine = posts[posts["platform"] == source]
    if mine["y"].nunique() < 2:
        raise InputError(f"{name.path}: {len(mine)} posts of {mine['y'].nunique()} classes came; expected both classes")
    others = [q for q in PLATFORMS if q != source and posts.loc[posts["platform"] == q, "y"].nunique() == 2]
    platforms = [source, *others]
    used = posts[posts["platform"].isin(platforms)]
    number = used["platform"].map({q: i for i, q in enumerate(platforms)}).to_numpy()
    groups = duplicate_groups(used["text"].to_numpy(dtype=object))
    y, target, texts = used["y"].to_numpy(), used["target"].to_numpy(), used["text"].to_numpy(dtype=object)
    parts = assign(y, number, test_domains=range(1, len(platforms)), groups=groups, seed=seed)
    present = np.unique(target[np.concatenate([parts.train, parts.val, parts.iid])])

    def table(rows: np.ndarray) -> Table:
        # Domains are numbered without the groups that the platform lacks; elsewhere such a group is -1.
        at = np.searchsorted(present, target[rows]).clip(max=len(present) - 1)
        at = np.where(present[at] == target[rows], at, -1)
        return Table(x=texts[rows], y=torch.from_numpy(y[rows]), domain=torch.from_numpy(at))

    return Task(
        str(name),
        table(parts.train),
        table(parts.val),
        {
            "iid": table(parts.iid),
            **{q: table(parts.tests[i + 1]) for i, q in enumerate(others)},
        },
        Text(),
        Classes(2, ("not hateful", "hateful")),
        tuple(GROUPS[i] for i in present),
        notes=(NOTE, *duplicate_notes(groups, parts.dropped)),
        fingerprint=hashlib.sha256("\0".join([*texts, *map(str, y)]).encode()).hexdigest(),
    )


def hatexplain(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return text, platform, y and target of HateXplain's rows, as the hub has them.

    >>> row = {"id": "1_gab", "post_tokens": ["a", "b"], "annotators": {"label": [0, 0, 1], "target": [["Women"], ["Men"], []]}}
    >>> hatexplain([row]).iloc[0].to_dict()
    {'text': 'a b', 'platform': 'gab', 'y': 1, 'target': 3}
    """
    import pandas as pd

    kept = []
    for row in rows:
        label, votes = Counter(row["annotators"]["label"]).most_common(1)[0]
        platform = row["id"].rpartition("_")[2]
        # 0 hate speech, 1 normal, 2 offensive; three different votes have no majority.
        if votes < 2 or label == 2 or platform not in PLATFORMS:
            continue
        named = [GROUP_OF[t] for targets in row["annotators"]["target"] for t in targets if t in GROUP_OF]
        group = Counter(named).most_common(1)[0][0] if named else "other"
        kept.append((" ".join(row["post_tokens"]), platform, int(label == 0), GROUPS.index(group)))
    return pd.DataFrame(kept, columns=["text", "platform", "y", "target"])


def measuring(annotations: pd.DataFrame) -> pd.DataFrame:
    """Return text, platform, y and target of the Measuring Hate Speech corpus, one row per comment, from its annotations.

    >>> import pandas as pd
    >>> one = {"comment_id": 7, "text": "a", "platform": 2, "hate_speech_score": 0.9, **{f"target_{g}": False for g in GROUPS[:7]}}
    >>> measuring(pd.DataFrame([{**one, "target_age": True}])).iloc[0].to_dict()
    {'text': 'a', 'platform': 'mhs-2', 'y': 1, 'target': 5}
    """
    import pandas as pd

    marks = [f"target_{g}" for g in GROUPS[:-1]]
    comments = annotations.groupby("comment_id").agg(
        {"text": "first", "platform": "first", "hate_speech_score": "first", **dict.fromkeys(marks, "mean")}
    )
    comments = comments[(comments["hate_speech_score"] > 0.5) | (comments["hate_speech_score"] < -1)]
    shares = comments[marks].astype(float).to_numpy()
    target = np.where(shares.max(1, initial=0) > 0, shares.argmax(1), len(marks))
    return pd.DataFrame(
        {
            "text": comments["text"].to_numpy(),
            "platform": [f"mhs-{int(q)}" for q in comments["platform"]],
            "y": (comments["hate_speech_score"] > 0.5).astype(int).to_numpy(),
            "target": target,
        }
    )


@functools.lru_cache(maxsize=1)
def _posts() -> pd.DataFrame:
    import pandas as pd

    try:
        from datasets import load_dataset
    except ModuleNotFoundError as error:
        raise MissingExtra("datasets", extra="hf", needed_by="the tasks hate-platforms") from error
    try:
        # HateXplain is published with a script, which is never run; the hub keeps it as parquet files, too.
        first = [
            load_dataset(HATEXPLAIN, revision="refs/convert/parquet", split=part)
            for part in ("train", "validation", "test")
        ]
        second = load_dataset(MEASURING, split="train")
    except (OSError, ConnectionError, ValueError) as error:
        raise InputError(
            f"the tasks hate-platforms need the data sets {HATEXPLAIN} and {MEASURING} of the Hugging Face hub, which cannot be had "
            f"here: {str(error).splitlines()[0]}"
        ) from error
    rows = [_as_lists(row) for part in first for row in part]
    return pd.concat([hatexplain(rows), measuring(second.to_pandas())], ignore_index=True)


def _as_lists(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose annotators are a record of lists, however this version of datasets gives them."""
    annotators = row["annotators"]
    if isinstance(annotators, list):
        annotators = {key: [a[key] for a in annotators] for key in ("label", "target")}
    return {**row, "annotators": annotators}
