"""One attempt at a trial, where it runs: the call itself, and all that is told about it. Light, since every worker loads it."""

from __future__ import annotations

import platform
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from farfield.errors import InputError
from farfield.study.arrays import Encoded, encode

TrialFunction = Callable[[Mapping[str, Any], int], dict[str, Any]]


@dataclass(frozen=True)
class Attempt:
    """How an attempt ended: with a ``result``, with an ``error`` (a sentence) and its ``traceback``, or with a death.

    **Fields:** ``seconds``; ``host``: the machine that it ran on; ``died``: "" or what ended its process from outside;
    ``blameless``: the trial had not begun, or its whole machine was lost.
    """

    result: Encoded | None = None
    error: str = ""
    traceback: str = ""
    seconds: float = 0.0
    host: str = field(default_factory=platform.node)
    died: str = ""
    blameless: bool = False


def attempt(function: TrialFunction, point: Mapping[str, Any], seed: int) -> Attempt:
    """Call the trial; what it raises, and a result that cannot be kept, is part of the attempt, not the end of the run.

    >>> attempt(lambda point, seed: {"sum": point["a"] + seed}, {"a": 1}, 2).result.text
    '{"sum": 3}'
    >>> attempt(lambda point, seed: {"sum": point["b"]}, {"a": 1}, 2).error
    "KeyError: 'b'"
    """
    start = time.perf_counter()
    try:
        result = function(point, seed)
    # A trial that calls sys.exit ends itself only.
    except (Exception, SystemExit) as error:
        return Attempt(error=_sentence(error), traceback=traceback.format_exc(), seconds=time.perf_counter() - start)
    seconds = time.perf_counter() - start
    try:
        return Attempt(encode(result), seconds=seconds)
    except (TypeError, ValueError) as problem:
        sentence = f"the result of the trial is not plain finite data: {problem}"
        return Attempt(error=sentence, traceback=sentence, seconds=seconds)


def _sentence(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, InputError | ArithmeticError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def out_of_time(limit: float) -> Attempt:
    """Return the attempt that took longer than its limit in seconds.

    >>> out_of_time(2.0).error
    'the trial took longer than its time limit of 2 seconds'
    """
    sentence = f"the trial took longer than its time limit of {limit:g} seconds"
    return Attempt(error=sentence, traceback=sentence, seconds=limit)
