"""What an inspection gathers: numbers with their rows, intervals and chance levels, and what could not be measured."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from farfield.errors import InputError


@dataclass(frozen=True)
class Number:
    """One measured number.

    **Fields:** ``representation``; ``against``: the other one, of a comparison; ``measure``: its name in
    `farfield.inspect.words`; ``low``, ``high``: its 95 % interval, where there is one; ``chance``: what it is by chance, on the
    same rows; ``rows``: how many it rests on.
    """

    representation: str
    measure: str
    value: float
    rows: int
    against: str | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None


@dataclass
class Findings:
    """Everything measured so far.

    **Fields:** ``numbers``; ``skipped``: dicts with ``what``, ``of`` and ``why``; ``curves``: what figures are drawn from, by kind and
    then by representation; ``watch``: called with a sentence before each step, for progress.

    >>> found = Findings()
    >>> with found.attempt("the dimension", "a.npy"):
    ...     raise InputError("all rows are the same")
    >>> found.skipped
    [{'what': 'the dimension', 'of': 'a.npy', 'why': 'all rows are the same'}]
    """

    numbers: list[Number] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    watch: Callable[[str], None] = lambda sentence: None

    def add(self, representation: str, measure: str, value: float, rows: int, **more: Any) -> None:
        """Keep a number; one that is not finite is listed as not measured."""
        if not math.isfinite(value):
            self.skip(measure.replace("_", " "), _who(representation, more.get("against")), f"it is {value}")
        else:
            self.numbers.append(Number(representation, measure, float(value), rows, **more))

    def skip(self, what: str, of: str, why: str) -> None:
        """Say that something was not measured, and why."""
        self.skipped.append({"what": what, "of": of, "why": why})

    def draw(self, kind: str, representation: str, data: Any) -> None:
        """Keep plain data for a figure."""
        self.curves.setdefault(kind, {})[representation] = data

    @contextmanager
    def attempt(self, what: str, of: str, against: str | None = None) -> Iterator[None]:
        """Measure something that not all data allow: its refusal or warning is listed, and everything else goes on."""
        who = _who(of, against)
        self.watch(f"{what} of {who}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            except InputError as error:
                self.skip(what, who, str(error))
        for warning in caught:
            if issubclass(warning.category, UserWarning):
                self.skip(what, who, f"warning: {str(warning.message).splitlines()[0]}")
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)

    def value(self, representation: str, measure: str, against: str | None = None) -> Number | None:
        """Return a number that was kept, None where there is none."""
        wanted = (representation, measure, against)
        return next((n for n in self.numbers if (n.representation, n.measure, n.against) == wanted), None)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the numbers as plain data."""
        return [asdict(n) for n in self.numbers]


def _who(representation: str, against: str | None) -> str:
    return representation if against is None else f"{representation} and {against}"
