"""Made-up posts of several platforms, on which the group that a post is about goes with hate in different ways."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks.split import assign
from farfield.tasks.task import Classes, Table, Task, Text

NAMES = ("platform-text",)
HATE, PER_TARGET, SLANG, FILLERS = 6, 6, 15, 100
HATE_SLOTS, TARGET_SLOTS, SLANG_SLOTS = 2, 2, 3


class PlatformText:
    """Posts of words without meaning: hate words (shared by all platforms), words of the target, slang of the platform, fillers.

    Each platform has its own share of posts about each target (half even, half drawn), and its own probability of hate given
    the target. On platform 0 it is ``p`` for the first half of the targets and 1 - p for the rest. On platform 1 it is 0.5 for
    all; from there it moves evenly to the reverse of platform 0 on the last one. So who learns from platform 0 that some targets mean hate is
    wrong on the last; the hate words mean the same everywhere, but each of a hateful post's two places for them is filled with
    probability ``clarity`` only (else with a filler), and of another post with ``noise``.

    **Arguments:** ``n``: posts per platform; ``platforms``: at least 2; ``targets``: at least 2; ``length``: words per post, at least 8;
    ``p``, ``clarity``, ``noise``: probabilities; ``seed``: of all draws.

    **Fields:** ``tokens`` (platforms * n, length) int64; ``y`` 1 for hateful; ``target``; ``platform``; ``words``: the vocabulary.

    Raises InputError on a number out of range.

    Source: a generator in the manner of Sheth et al., WSDM 2024 (the causal graph of its section on the problem).

    >>> data = PlatformText(100)
    >>> data.tokens.shape, len(data.words), data.texts()[0].count(" ")
    ((400, 20), 208, 19)
    """

    def __init__(
        self,
        n: int = 5000,
        *,
        platforms: int = 4,
        targets: int = 7,
        length: int = 20,
        p: float = 0.9,
        clarity: float = 0.5,
        noise: float = 0.1,
        seed: int = 0,
    ):
        least = HATE_SLOTS + TARGET_SLOTS + SLANG_SLOTS + 1
        if n < 1 or platforms < 2 or targets < 2 or length < least:
            raise InputError(
                f"n is {n}, platforms {platforms}, targets {targets}, length {length}; expected at least 1, 2, 2 and {least}"
            )
        for name, value in {"p": p, "clarity": clarity, "noise": noise}.items():
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}; it must be from 0 to 1")
        rng = np.random.default_rng([seed, 0x97])
        self.words = (
            *(f"hate{i}" for i in range(HATE)),
            *(f"target{t}x{i}" for t in range(targets) for i in range(PER_TARGET)),
            *(f"slang{q}x{i}" for q in range(platforms) for i in range(SLANG)),
            *(f"word{i}" for i in range(FILLERS)),
        )
        rows = platforms * n
        self.platform = np.repeat(np.arange(platforms), n)
        priors = 0.5 / targets + 0.5 * rng.dirichlet(np.full(targets, 2.0), size=platforms)
        self.target = np.concatenate([rng.choice(targets, n, p=prior) for prior in priors])
        strength = np.concatenate([[1.0], np.linspace(0, -1, platforms - 1) if platforms > 2 else [-1.0]])
        side = np.where(np.arange(targets) < targets // 2, 1, -1)
        hateful = 0.5 + (p - 0.5) * strength[self.platform] * side[self.target]
        self.y = (rng.random(rows) < hateful).astype(np.int64)

        first = np.cumsum([0, HATE, PER_TARGET * targets, SLANG * platforms])
        fill = 1 / np.arange(1, FILLERS + 1)  # some fillers are common, most are rare
        tokens = first[3] + rng.choice(FILLERS, (rows, length), p=fill / fill.sum())
        marked = rng.random((rows, HATE_SLOTS)) < np.where(self.y, clarity, noise)[:, None]
        hate = rng.integers(HATE, size=(rows, HATE_SLOTS))
        tokens[:, :HATE_SLOTS] = np.where(marked, hate, tokens[:, :HATE_SLOTS])
        for kind, size, slots, at in (
            (self.target, PER_TARGET, TARGET_SLOTS, 1),
            (self.platform, SLANG, SLANG_SLOTS, 2),
        ):
            start = HATE_SLOTS if at == 1 else HATE_SLOTS + TARGET_SLOTS
            drawn = rng.integers(size, size=(rows, slots))
            tokens[:, start : start + slots] = first[at] + kind[:, None] * size + drawn
        self.tokens = rng.permuted(tokens, axis=1)
        self._first_filler = int(first[3])

    def __len__(self) -> int:
        return len(self.y)

    @property
    def cues(self) -> dict[str, tuple[str, ...]]:
        """Words that two imperfect cue models know: each half of the hate words, and ten fillers by mistake."""
        fillers = self.words[self._first_filler :]
        return {
            "sentiment": (*self.words[: HATE // 2], *fillers[20:30]),
            "aggression": (*self.words[HATE // 2 : HATE], *fillers[30:40]),
        }

    def texts(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return posts as strings (n,), all or those of these rows."""
        tokens = self.tokens if rows is None else self.tokens[rows]
        words = np.array(self.words, dtype=object)
        return np.array([" ".join(row) for row in words[tokens]], dtype=object)


def expand(name: Name) -> list[Name]:
    """Return the task itself. Raises InputError on an unknown name.

    >>> from farfield.names import parse
    >>> [str(n) for n in expand(parse("platform-text?n=100"))]
    ['platform-text?n=100']
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task: is a post hateful? Trained on platform 0, whose domains are the targets; tested on each other platform.

    ``?n=5000``: posts per platform. The posts are drawn by ``seed``, as is which of platform 0's train, validate and test.

    Raises InputError on an unknown name or option, or a number of posts below 100.
    """
    expand(name)
    name.check_options(["n"])
    given = name.options.get("n", "5000")
    if not given.isdecimal() or int(given) < 100:
        raise InputError(f"n={given} of {name.path} must be a whole number of at least 100")
    data = PlatformText(int(given), seed=seed)
    source = np.flatnonzero(data.platform == 0)
    parts = assign(data.y[source], data.target[source], seed=seed)

    def table(rows: np.ndarray) -> Table:
        return Table(x=data.texts(rows), y=torch.from_numpy(data.y[rows]), domain=torch.from_numpy(data.target[rows]))

    tests = {"iid": table(source[parts.iid])}
    tests |= {f"platform {q}": table(np.flatnonzero(data.platform == q)) for q in range(1, data.platform.max() + 1)}
    digest = hashlib.sha256(data.tokens.tobytes() + data.y.tobytes())
    return Task(
        str(name),
        table(source[parts.train]),
        table(source[parts.val]),
        tests,
        Text(),
        Classes(2, ("not hateful", "hateful")),
        tuple(f"target {t}" for t in range(int(data.target.max()) + 1)),
        fingerprint=digest.hexdigest(),
    )
