"""HateCheck's short texts, hateful or not, about seven groups: as data, and as tasks in which the group misleads.

A content warning: the texts are offensive by design. Cases made of one template differ in little but the group's name, so that
splits are by template; at random, the same sentence would lie on both sides.
"""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks import fetch
from farfield.tasks.confounded_domains import confounded_domains
from farfield.tasks.task import Classes, Table, Task, Text

FILE = "test_suite_cases.csv"
GROUPS = ("Muslims", "black people", "disabled people", "gay people", "immigrants", "trans people", "women")
LABELS = ("non-hateful", "hateful")
LEAVE_OUT = tuple(f"hatecheck/leave-out-{g.lower().replace(' ', '-')}" for g in GROUPS)
NAMES = ("hatecheck/confounded", *LEAVE_OUT)
P = 0.95
# Shares of the templates: training, validation, and a test each where the group misleads as before, not at all, the other way.
SHARES = (0.45, 0.1, 0.15, 0.15, 0.15)


@dataclass(frozen=True)
class HateCheck:
    """The 3,436 cases that are about a group.

    **Arguments:**
    - ``path``: the published ``test_suite_cases.csv``, plain or ``.gz``; None takes it from ``$FARFIELD_DATA`` or the cache, or downloads it.
    - ``split``: what `parts` keeps on one side: "template" (as it should be), "target" (a group's cases; its templates leak), or
      "random" (single cases; templates leak).

    **Fields:** ``texts``; ``y`` (n,) 1 for hateful; ``target`` (n,) index into ``groups``; ``template`` (n,) its id; ``functionality``:
    which of 25 abilities a case tests, such as "negate_neg_nh"; ``fingerprint``: SHA-256 of the file.

    Raises InputError where the file cannot be had or is not HateCheck's, or on another split.

    Source: Röttger et al., ACL 2021.

    >>> HateCheck(split="case")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown split 'case'; known: random, target, template
    """

    path: str | Path | None = None
    split: Literal["template", "target", "random"] = "template"
    groups = GROUPS

    def __post_init__(self):
        if self.split not in ("template", "target", "random"):
            raise unknown_name("split", self.split, ["random", "target", "template"])
        texts, y, target, template, functionality, fingerprint = _read(None if self.path is None else str(self.path))
        fields = {"texts": texts, "y": y, "target": target, "template": template, "functionality": functionality}
        for name, value in {**fields, "fingerprint": fingerprint}.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.y)

    def parts(self, *shares: float, seed: int = 0) -> list[np.ndarray]:
        """Return disjoint rows, a share each of the templates (or groups, or cases), drawn by ``seed``; sorted.

        Raises InputError on shares that are not above 0 or sum to more than 1, and where one is too small for a template.
        """
        if not shares or min(shares) <= 0 or sum(shares) > 1 + 1e-9:
            raise InputError(f"shares are {shares}; each must be above 0, and their sum at most 1")
        units = {"template": self.template, "target": self.target, "random": np.arange(len(self))}[self.split]
        order = np.random.default_rng([seed, 0x8C]).permutation(np.unique(units))
        ends = np.round(np.cumsum([0, *shares]) * len(order)).astype(int)
        if (np.diff(ends) < 1).any():
            raise InputError(f"shares are {shares}; of {len(order)} there is none left for one of them")
        return [np.flatnonzero(np.isin(units, order[a:b])) for a, b in itertools.pairwise(ends)]

    def table(self, rows: np.ndarray) -> Table:
        """Return columns ``x`` (texts), ``y`` and ``domain`` (the group) of these rows."""
        return Table(x=self.texts[rows], y=torch.from_numpy(self.y[rows]), domain=torch.from_numpy(self.target[rows]))


def expand(name: Name) -> list[Name]:
    """Return the concrete tasks: ``hatecheck`` is the confounded one, ``hatecheck/targets`` leaves out each group in turn.

    Raises InputError on an unknown name, with the nearest known ones.

    >>> from farfield.names import parse
    >>> len(expand(parse("hatecheck/targets"))), expand(parse("hatecheck"))[0].path
    (7, 'hatecheck/confounded')
    """
    families = {"hatecheck": NAMES[:1], "hatecheck/targets": LEAVE_OUT}
    if name.path in families:
        return [Name(name.kind, path, dict(name.options)) for path in families[name.path]]
    if name.path not in NAMES:
        raise unknown_name("task", name.path, [*NAMES, *families])
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return one task: is a text hateful? Training domains are the groups that the texts are about.

    - ``hatecheck/confounded``: of three groups most texts in training are hateful, of four most are not (``?p=0.95`` is the share
      that follows this rule, see `confounded_domains`). The near test is like that, in ``none`` the group says nothing, in
      ``reversed`` the rule is the other way round. Which groups is drawn by ``seed``.
    - ``hatecheck/leave-out-women`` and so on: trained on six groups, tested on the seventh.

    Every split has its own templates, drawn by ``seed``.

    Raises InputError on an unknown name or option, a share that is not above 0.5 and below 1, or where the data cannot be had.
    """
    if name.path == "hatecheck":
        name = expand(name)[0]
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    name.check_options(["p"] if name.path == NAMES[0] else [])
    data = HateCheck()
    if name.path == NAMES[0]:
        parts = _confounded(data, _share(name), seed)
        groups = GROUPS
    else:
        left_out = LEAVE_OUT.index(name.path)
        parts = _leave_out(data, left_out, seed)
        groups = tuple(g for i, g in enumerate(GROUPS) if i != left_out)
    return Task(
        str(name),
        parts.pop("train"),
        parts.pop("val"),
        parts,
        Text(),
        Classes(2, LABELS),
        groups,
        notes=fetch.notices("hatecheck"),
        fingerprint=hashlib.sha256(f"{data.fingerprint} {name}".encode()).hexdigest(),
    )


def _share(name: Name) -> float:
    given = name.options.get("p", str(P))
    try:
        p = float(given)
    except ValueError as error:
        raise InputError(f"p={given} of {name.path} is no number") from error
    if not 0.5 < p < 1:
        raise InputError(f"p={given} of {name.path} must be above 0.5 and below 1")
    return p


def _confounded(data: HateCheck, p: float, seed: int) -> dict[str, Table]:
    rule, found = None, {}
    kinds = ("source", "source", "source", "none", "reversed")
    for label, kind, rows in zip(("train", "val", "iid", "none", "reversed"), kinds, data.parts(*SHARES, seed=seed)):
        # The first part draws the rule, the others follow it.
        domains = confounded_domains(data.y[rows], data.target[rows], p, seed, rule=rule)
        rule = domains.rule
        found[label] = data.table(rows[getattr(domains, kind)])
    return found


def _leave_out(data: HateCheck, left_out: int, seed: int) -> dict[str, Table]:
    train, val, iid, far = data.parts(0.45, 0.1, 0.2, 0.25, seed=seed)
    # The domains are numbered without the group that is left out.
    numbers = np.array([g - (g > left_out) for g in range(len(GROUPS))])
    found = {}
    for label, rows in (("train", train), ("val", val), ("iid", iid)):
        table = data.table(rows[data.target[rows] != left_out])
        found[label] = table.replace(domain=torch.from_numpy(numbers[table.columns["domain"].numpy()]))
    there = far[data.target[far] == left_out]
    found[GROUPS[left_out]] = Table(x=data.texts[there], y=torch.from_numpy(data.y[there]))
    return found


@functools.lru_cache(maxsize=2)
def _read(path: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]:
    import pandas as pd

    if path is None:
        folder, file = fetch.path("hatecheck"), FILE
    else:
        # `fetch.read` finds the compressed file by the plain one's name.
        folder, file = Path(path).expanduser().parent, Path(path).name.removesuffix(".gz")
        if not (folder / file).is_file() and not (folder / f"{file}.gz").is_file():
            raise InputError(f"file not found: {path}")
    content = fetch.read(folder, file)
    try:
        table = pd.read_csv(io.BytesIO(content), keep_default_na=False)
        about = table[table["target_ident"] != ""]
        y = about["label_gold"].map({label: i for i, label in enumerate(LABELS)})
        target = about["target_ident"].map({group: i for i, group in enumerate(GROUPS)})
        texts = about["test_case"].str.strip()
        template, functionality = about["templ_id"].astype(int), about["functionality"]
    except (ValueError, KeyError) as error:
        raise InputError(f"{folder / file} is not HateCheck's table of cases: {error!r}") from error
    empty = int((texts == "").sum())
    if not len(about) or empty or y.isna().any() or target.isna().any():
        raise InputError(
            f"{folder / file} holds {len(about)} cases about a group, {empty} empty texts, {int(y.isna().sum())} unknown labels and "
            f"{int(target.isna().sum())} unknown groups; expected HateCheck's"
        )
    return (
        texts.to_numpy(dtype=object),
        y.to_numpy(dtype=np.int64),
        target.to_numpy(dtype=np.int64),
        template.to_numpy(dtype=np.int64),
        functionality.to_numpy(dtype=object),
        hashlib.sha256(content).hexdigest(),
    )
