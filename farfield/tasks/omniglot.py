"""The tasks of Omniglot beside the image shifts: other people's hands, and characters never seen."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks.sources import drawings, load_source
from farfield.tasks.split import assign, duplicate_notes
from farfield.tasks.task import Classes, Image, Table, Task

TASKS = ("writers", "characters")
# The 20 people who drew each alphabet, by the number of the drawing.
WRITERS = ("1-5", "6-10", "11-15", "16-20")
UNSEEN = 0.25
NAMES: tuple[str, ...] = (*(f"omniglot/writers?test={w}" for w in WRITERS), "omniglot/characters")


def expand(name: Name) -> list[Name]:
    """Return the concrete tasks: one for each group of writers that can be left out, or the name itself.

    >>> from farfield.names import parse
    >>> [str(n) for n in expand(parse("omniglot/writers"))]
    ['omniglot/writers?test=1-5', 'omniglot/writers?test=6-10', 'omniglot/writers?test=11-15', 'omniglot/writers?test=16-20']
    """
    if name.path == "omniglot/writers" and "test" not in name.options:
        return [name.with_options(test=w) for w in WRITERS]
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task ``omniglot/writers?test=...`` or ``omniglot/characters``.

    - writers: name the character (242 classes); training domains are three groups of writers, the far test is the fourth.
      An alphabet's writers are known by the number of the drawing.
    - characters: name the alphabet (8 classes); the far test holds a quarter of each alphabet's characters, drawn by the
      seed, of which training saw no drawing.

    Raises InputError on an unknown name or option, or where the data cannot be had.
    """
    if name.path == "omniglot/writers":
        return _writers(name, seed)
    if name.path == "omniglot/characters":
        return _characters(name, seed)
    raise unknown_name("task", name.path, NAMES)


def _writers(name: Name, seed: int) -> Task:
    name.check_options(["test"])
    if "test" not in name.options:
        raise InputError(f"{name} stands for several tasks; load one of {', '.join(str(n) for n in expand(name))}")
    if name.options["test"] not in WRITERS:
        raise unknown_name("group of writers", name.options["test"], WRITERS)
    d = drawings()
    test = WRITERS.index(name.options["test"])
    group = (d.drawing - 1) // 5
    names = tuple(f"writers {w}" for w in WRITERS)
    return _task(name, d.character, d.characters, group, names, test, seed)


def _characters(name: Name, seed: int) -> Task:
    name.check_options([])
    d = drawings()
    rng = np.random.default_rng([seed, 0xC4])
    unseen: list[int] = []
    for alphabet in range(len(d.alphabets)):
        members = np.unique(d.character[d.alphabet == alphabet])
        unseen.extend(rng.permutation(members)[: round(UNSEEN * len(members))])
    group = np.isin(d.character, unseen).astype(np.int64)
    return _task(name, d.alphabet, d.alphabets, group, ("seen characters", "unseen characters"), 1, seed)


def _task(
    name: Name,
    y: np.ndarray,
    classes: Sequence[str],
    group: np.ndarray,
    group_names: Sequence[str],
    test: int,
    seed: int,
) -> Task:
    """Return the task that leaves one group of drawings out."""
    source = load_source("omniglot")
    a = assign(y, group, test_domains=[test], groups=source.groups, seed=seed)
    domains = tuple(n for i, n in enumerate(group_names) if i != test)
    domain = np.array([domains.index(n) if n in domains else -1 for n in group_names])[group]

    def table(rows: np.ndarray) -> Table:
        return Table(x=source.images[torch.from_numpy(rows)], y=y[rows], domain=domain[rows])

    far = a.tests[test]
    return Task(
        str(name),
        table(a.train),
        table(a.val),
        {"iid": table(a.iid), group_names[test]: Table(x=source.images[torch.from_numpy(far)], y=y[far])},
        Image(1, 28, 28),
        Classes(len(classes), tuple(classes)),
        domains=domains,
        notes=(*source.notes, *duplicate_notes(source.groups, a.dropped)),
        fingerprint=hashlib.sha256(f"{source.fingerprint} {name}".encode()).hexdigest(),
    )
