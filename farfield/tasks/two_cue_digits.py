"""MNIST's digits with two cues beside the image: one that only pretraining data hold, one that only fine-tuning data hold."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks.task import Classes, Table, Task, Vector

CLASSES, SIDE = 10, 14
PIXELS = SIDE * SIDE
CUES = {"pretraining": slice(PIXELS, PIXELS + CLASSES), "fine-tuning": slice(PIXELS + CLASSES, PIXELS + 2 * CLASSES)}
WIDTH = PIXELS + 2 * CLASSES
PRETRAINING_ROWS, FINE_TUNING_ROWS, TEST_ROWS = slice(0, 5000), slice(5000, 7000), slice(7000, 10_000)
VALIDATION = 500
NAMES = ("two-cue-digits",)
Cue = Literal["pretraining", "fine-tuning"]


class TwoCueDigits:
    """Digits of 14x14 noisy pixels and two one-hot cues of 10 entries: vectors of 216 features.

    The cue "pretraining" agrees with the label in pretraining data, the cue "fine-tuning" in
    fine-tuning data and in the near test: with probability p it is the label, otherwise a class
    drawn uniformly, so that it equals the label with p + (1 - p) / 10. Everywhere else a cue is
    uniform, so neither helps in the far test: a model loses there what it learned from either.

    **Arguments:**
    - ``rows``: to fine-tune on, from 10 to 1,500 of MNIST's rows 5000 to 6999; 500 of the others
      are for validation.
    - ``pretrain_cue``, ``finetune_cue``: p of each cue, from 0 to 1.
    - ``digits``: pretraining knows the digits below it, from 2 to 10; fine-tuning has all ten.
    - ``noise``: standard deviation of the Gaussian noise on pixels, which are from 0 to 1.
    - ``seed``: of rows, noise and cues.

    **Fields:** ``pretraining``: a Table of rows 0 to 4999; ``train``, ``val``; ``tests``: "iid" and
    "cue at random", the same digits (rows 7000 to 9999).

    Raises InputError on an argument out of its range, or where MNIST cannot be had.

    Source: the data are MNIST's; a controlled case of the two failures that Roh et al. (ICML 2024)
    tell apart.

    >>> TwoCueDigits(rows=5)
    Traceback (most recent call last):
    farfield.errors.InputError: rows is 5; it must be from 10 to 1500
    """

    def __init__(
        self,
        *,
        rows: int = 100,
        pretrain_cue: float = 0.9,
        finetune_cue: float = 0.9,
        digits: int = 7,
        noise: float = 0.3,
        seed: int = 0,
    ):
        most = FINE_TUNING_ROWS.stop - FINE_TUNING_ROWS.start - VALIDATION
        if not 10 <= rows <= most:
            raise InputError(f"rows is {rows}; it must be from 10 to {most}")
        for name, share in (("pretrain_cue", pretrain_cue), ("finetune_cue", finetune_cue)):
            if not 0 <= share <= 1:
                raise InputError(f"{name} is {share}; it must be from 0 to 1")
        if not 2 <= digits <= CLASSES:
            raise InputError(f"digits is {digits}; it must be from 2 to {CLASSES}")
        if not 0 <= noise < float("inf"):
            raise InputError(f"noise is {noise}; it must be at least 0")
        images, labels, self.fingerprint, self.notes = _digits14()
        generator = torch.Generator().manual_seed(seed)
        pixels = images + noise * torch.randn(images.shape, generator=generator)

        def table(at: Tensor, agree: Mapping[str, float]) -> Table:
            x = torch.cat([pixels[at], torch.zeros(len(at), 2 * CLASSES)], 1)
            for cue in CUES:
                x = set_cue(x, cue, generator, labels=labels[at], agree=agree.get(cue, 0.0))
            return Table(x=x, y=labels[at], domain=torch.zeros(len(at), dtype=torch.long))

        everyone = torch.arange(len(labels))
        known = everyone[PRETRAINING_ROWS][labels[PRETRAINING_ROWS] < digits]
        order = everyone[FINE_TUNING_ROWS][torch.randperm(most + VALIDATION, generator=generator)]
        agrees = {"fine-tuning": finetune_cue}
        # The validation rows first: they are the same for any number of training rows.
        self.pretraining = table(known, {"pretraining": pretrain_cue})
        self.val = table(order[:VALIDATION], agrees)
        test = everyone[TEST_ROWS]
        near = table(test, agrees)
        far = near.replace(x=set_cue(near.columns["x"], "fine-tuning", generator))
        self.tests = {"iid": near, "cue at random": far}
        self.train = table(order[VALIDATION : VALIDATION + rows], agrees)

    def task(self, name: str = "two-cue-digits") -> Task:
        """Return fine-tuning as a `Task`: ten classes, near test "iid", far test "cue at random"."""
        return Task(
            name,
            self.train,
            self.val,
            self.tests,
            Vector(WIDTH),
            Classes(CLASSES),
            ("cue agrees",),
            notes=self.notes,
            fingerprint=hashlib.sha256(f"{self.fingerprint} {name}".encode()).hexdigest(),
        )


def set_cue(
    x: Tensor, cue: Cue, generator: torch.Generator, *, labels: Tensor | None = None, agree: float = 0.0
) -> Tensor:
    """Return inputs (n, 216) whose cue is drawn anew: uniform over the ten classes, or the label with probability ``agree``.

    **Arguments:** ``labels``: (n,), needed where ``agree`` is above 0.

    Raises InputError on an unknown cue, and where labels are needed and absent.

    >>> x = set_cue(torch.zeros(3, 216), "pretraining", torch.Generator(), labels=torch.tensor([1, 2, 3]), agree=1.0)
    >>> x[:, 196:206].argmax(1).tolist(), x.sum().item()
    ([1, 2, 3], 3.0)
    """
    if cue not in CUES:
        raise unknown_name("cue", str(cue), CUES)
    if agree and labels is None:
        raise InputError(f"agree is {agree} and no labels came; they say what the cue agrees with")
    value = torch.randint(CLASSES, (len(x),), generator=generator)
    if labels is not None:
        value = torch.where(torch.rand(len(x), generator=generator) < agree, labels, value)
    drawn = x.clone()
    drawn[:, CUES[cue]] = torch.nn.functional.one_hot(value, CLASSES).to(x)
    return drawn


def expand(name: Name) -> list[Name]:
    """Return the task itself."""
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task ``two-cue-digits``; ``?rows=300`` fine-tunes on so many rows.

    Raises InputError on another name or option, rows out of range, or where MNIST cannot be had.
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    name.check_options(["rows"])
    rows = name.options.get("rows", "100")
    if not rows.isdecimal():
        raise InputError(f"rows={rows} of {name} must be a whole number")
    return TwoCueDigits(rows=int(rows), seed=seed).task(str(name))


@functools.lru_cache(maxsize=1)
def _digits14() -> tuple[Tensor, Tensor, str, tuple[str, ...]]:
    from farfield.tasks.sources import area_average, load_source

    source = load_source("mnist")
    images = area_average(source.images.float() / 255, SIDE, SIDE).clamp_(0, 1).flatten(1)
    return images, torch.from_numpy(source.labels), source.fingerprint, source.notes
