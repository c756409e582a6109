"""Tasks made of real images and a graded shift: ``digits/rotation``, ``mnist/noise``, ``cifar10/blur``, ``omniglot/scale``...

Training sees the mild levels of a shift, the tests go further along it. Every image lies in one split and, in training,
at one level.
"""

import functools
import hashlib

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks import omniglot
from farfield.tasks.shifts import LEVELS, SHIFTS, Shift
from farfield.tasks.sources import Source, load_source
from farfield.tasks.split import assign, duplicate_notes
from farfield.tasks.task import Classes, Image, Table, Task

_GREY = tuple(SHIFTS)
# A photograph fills its frame with colour: there is no background to fill, and no free channel to put a colour into.
_PHOTOGRAPHS = tuple(s for s in SHIFTS if s not in ("background", "color"))
ALL: dict[str, tuple[str, ...]] = {
    "digits": _GREY,
    "mnist": _GREY,
    "mnist-full": _GREY,
    "cifar10": _PHOTOGRAPHS,
    "omniglot": _GREY,
}
USUAL: dict[str, tuple[str, ...]] = {
    source: ("rotation", "noise", "blur" if source == "cifar10" else "background") for source in ALL
}
NAMES: tuple[str, ...] = (
    *(path for source, shifts in ALL.items() for path in (source, *(f"{source}/{s}" for s in shifts))),
    *omniglot.NAMES,
)
CHUNK = 4096


def expand(name: Name) -> list[Name]:
    """Return the concrete tasks of a name: three shifts of a data set, all of them (``.../all``), or the name itself.

    Raises InputError on an unknown name, with the nearest known ones.

    >>> from farfield.names import parse
    >>> [str(n) for n in expand(parse("digits"))][:3]
    ['digits/rotation', 'digits/noise', 'digits/background']
    """
    source, _, rest = name.path.partition("/")
    if rest in omniglot.TASKS and source == "omniglot":
        return omniglot.expand(name)
    if rest in ("", "all"):
        shifts = (ALL if rest else USUAL).get(source)
        if shifts is None:
            raise unknown_name("task", name.path, NAMES)
        return [Name(name.kind, f"{source}/{s}", dict(name.options)) for s in shifts]
    _shift(name)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return one task: a data set under a shift, or a data set alone (one domain, only the near test).

    Images are split 60/20/20 into training, validation and near test, by class; a data set with an official test set
    (mnist-full, cifar10) keeps it as the near test. Each of the three is divided over the training levels of the shift,
    an image at one level. The far tests are the other levels, each with all images of the near test, and each image
    with the same random draws at every level, so that differences between levels are differences of the shift alone.

    **Arguments:** ``name`` with the options ``train`` (training levels, "0,1,2" where it is not given; color's published
    ones, "0,1") and ``rows`` (use that many images); ``seed`` of the split and of the shift.

    Raises InputError on an unknown name or option, on levels outside 0..5, or where the data cannot be had.

    >>> from farfield.names import parse
    >>> task = load(parse("digits/rotation"), seed=0)
    >>> task.domains, task.far
    (('rotation 0°', 'rotation 15°', 'rotation 30°'), ('rotation 45°', 'rotation 60°', 'rotation 75°'))
    """
    head, _, rest = name.path.partition("/")
    if rest in omniglot.TASKS and head == "omniglot":
        return omniglot.load(name, seed)
    if not rest:
        if head not in ALL:
            raise unknown_name("task", name.path, NAMES)
        name.check_options(["rows"])
        shift, levels = None, [0]
    elif rest == "all":
        raise InputError(f"{name.path} stands for several tasks; load one of {', '.join(n.path for n in expand(name))}")
    else:
        shift = _shift(name)
        name.check_options(["train", "rows"])
        levels = _training_levels(name, shift)
    source = load_source(head, _rows(name))
    labels, classes = _halves(source) if shift and shift.labelled else (source.labels, source.classes)
    train, val, iid, notes = _split(source, seed)

    at_level = functools.partial(_at_level, source.images, torch.from_numpy(labels), shift, seed)
    splits = {}
    for part, rows in (("train", train), ("val", val), ("iid", iid)):
        which = share_out(labels[rows], len(levels), seed)
        mine = [np.flatnonzero(which == d) for d in range(len(levels))]
        if part == "iid":
            # Shifted whole at each level, of which each image's own is taken: its draws are those of the far tests.
            pieces = [_take(at_level(part, rows, level), own) for level, own in zip(levels, mine)]
        else:
            pieces = [at_level(f"{part} {level}", rows[own], level) for level, own in zip(levels, mine)]
        x, y = (torch.cat(column) for column in zip(*pieces))
        splits[part] = Table(x=x, y=y, domain=torch.from_numpy(np.sort(which)))
    tests = {"iid": splits["iid"]}
    for level in range(LEVELS) if shift else ():
        if level not in levels:
            x, y = at_level("iid", iid, level)
            tests[shift.label(level)] = Table(x=x, y=y)
    return Task(
        str(name),
        splits["train"],
        splits["val"],
        tests,
        Image(*splits["train"].columns["x"].shape[1:]),
        Classes(len(classes), classes),
        domains=tuple(shift.label(level) for level in levels) if shift else (head,),
        severity={shift.label(level): level for level in range(LEVELS)} if shift else {},
        notes=(*source.notes, *notes),
        fingerprint=hashlib.sha256(f"{source.fingerprint} {name}".encode()).hexdigest(),
    )


def share_out(labels: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """Give each row a number below ``parts`` at random, so that the parts differ by at most one row, also within a class.

    >>> np.bincount(share_out(np.array([0, 0, 0, 1, 1, 1]), 3, seed=0)).tolist()
    [2, 2, 2]
    """
    order = np.random.default_rng([seed, 0x5A]).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    part = np.empty(len(labels), dtype=np.int64)
    part[order] = np.arange(len(labels)) % parts
    return part


def _shift(name: Name) -> Shift:
    source, _, rest = name.path.partition("/")
    if rest in SHIFTS and source in ALL and rest not in ALL[source]:
        raise InputError(
            f"{source} does not take the shift {rest}: its images are photographs, which have no empty background and no "
            f"free channel; it takes {', '.join(ALL[source])}"
        )
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return SHIFTS[rest]


def _training_levels(name: Name, shift: Shift) -> list[int]:
    text = name.options.get("train", "0,1" if shift.labelled else "0,1,2")
    levels = [p.strip() for p in text.split(",")]
    if len(set(levels)) < len(levels) or not set(levels) < {str(level) for level in range(LEVELS)}:
        raise InputError(
            f"the option train of {name} is {text!r}; it must be different levels out of 0,1,2,3,4,5, and leave one to test on"
        )
    return sorted(int(level) for level in levels)


def _rows(name: Name) -> int | None:
    text = name.options.get("rows")
    if text is not None and not (text.isascii() and text.isdecimal()):
        raise InputError(f"the option rows of {name} is {text!r}; it must be a number of images")
    return None if text is None else int(text)


def _halves(source: Source) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the two-class version of the labels: the first half of the classes against the second."""
    half, names = len(source.classes) // 2, source.classes
    return (source.labels >= half).astype(np.int64), (
        f"{names[0]} to {names[half - 1]}",
        f"{names[half]} to {names[-1]}",
    )


def _split(source: Source, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    official = source.official_test
    if not official.any():
        a = assign(source.labels, np.zeros_like(source.labels), groups=source.groups, seed=seed)
        return a.train, a.val, a.iid, duplicate_notes(source.groups, a.dropped)
    domain = official.astype(np.int64)
    a = assign(source.labels, domain, test_domains=[1], groups=source.groups, seed=seed, iid=0)
    return a.train, a.val, a.tests[1], duplicate_notes(source.groups, a.dropped)


def _at_level(
    images: Tensor, labels: Tensor, shift: Shift | None, seed: int, part: str, rows: np.ndarray, level: int
) -> tuple[Tensor, Tensor]:
    """Return images and labels of these rows at a level; bytes stay bytes, rounded to the nearest."""
    index = torch.from_numpy(rows)
    if shift is None or (level == 0 and not shift.labelled):
        return images[index], labels[index]
    pieces = []
    for i, piece in enumerate(index.split(CHUNK)):
        # Every part and every chunk has draws of its own.
        draws = int.from_bytes(hashlib.sha256(f"{seed} {part} {i}".encode()).digest()[:4], "big")
        x = images[piece]
        bytes_came = x.dtype == torch.uint8
        x, y = shift.apply_labelled(x.float() / 255 if bytes_came else x, labels[piece], level, draws)
        pieces.append((x.mul(255).round().to(torch.uint8) if bytes_came else x, y))
    x, y = (torch.cat(column) for column in zip(*pieces))
    return x, y


def _take(columns: tuple[Tensor, ...], rows: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(column[torch.from_numpy(rows)] for column in columns)
