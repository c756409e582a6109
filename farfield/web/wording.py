"""How numbers are written, the same in the report and in the terminal: percentages, points, intervals, durations."""

from collections.abc import Mapping, Sequence
from typing import Any

Interval = Mapping[str, Any]
MISSING = "–"


def printable(data: Any) -> Any:
    """Return plain data with every text in it made fit for a page and a terminal.

    Names come from files of all kinds: white space becomes a space, and what cannot be shown (control characters, broken
    encodings) becomes U+FFFD.

    >>> printable({"a": ["x" + chr(10) + "y", chr(27) + "[31m", 1.5]})
    {'a': ['x y', '�[31m', 1.5]}
    """
    if isinstance(data, str):
        return "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in data)
    if isinstance(data, Mapping):
        return {printable(key): printable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [printable(value) for value in data]
    return data


def mean(interval: Interval | None) -> float | None:
    """Return the mean of an interval, None where nothing was measured.

    >>> mean({"mean": 0.5, "low": None, "high": None}), mean(None)
    (0.5, None)
    """
    return None if interval is None else interval["mean"]


def bounded(interval: Interval | None) -> bool:
    """Return whether an interval has bounds; with one seed it has none.

    >>> bounded({"mean": 0.5, "low": None, "high": None})
    False
    """
    return interval is not None and interval["low"] is not None and interval["high"] is not None


def bare(value: float | None) -> str:
    """Write a fraction in [0, 1] as a percentage with one decimal, without its sign (for a column that has it).

    >>> bare(0.71249), bare(None)
    ('71.2', '–')
    """
    return MISSING if value is None else f"{100 * value:.1f}"


def percent(value: float | None) -> str:
    """Write a fraction in [0, 1] as a percentage with one decimal.

    >>> percent(0.71249).replace(chr(160), " ")
    '71.2 %'
    """
    return MISSING if value is None else f"{bare(value)}\N{NO-BREAK SPACE}%"


def points(value: float | None) -> str:
    """Write a difference of two fractions in percentage points, with its sign.

    >>> points(0.0131), points(-0.004), points(-0.0001)
    ('+1.3', '−0.4', '0.0')
    """
    if value is None:
        return MISSING
    rounded = round(100 * value, 1)
    return "0.0" if rounded == 0 else f"{rounded:+.1f}".replace("-", "\N{MINUS SIGN}")


def between(interval: Interval | None, *, difference: bool = False) -> str:
    """Write the bounds of an interval, empty where it has none; those of an accuracy end at 0 and 100 %.

    >>> between({"mean": 0.71, "low": 0.69, "high": 0.732})
    '69.0 to 73.2'
    >>> between({"mean": 0.01, "low": -0.004, "high": 0.03}, difference=True)
    '−0.4 to +3.0'
    """
    if not bounded(interval):
        return ""
    low, high = interval["low"], interval["high"]
    return f"{points(low)} to {points(high)}" if difference else f"{bare(max(low, 0.0))} to {bare(min(high, 1.0))}"


def duration(seconds: float | None) -> str:
    """Write seconds as people say them.

    >>> duration(0.42), duration(12.3), duration(123.4), duration(7380), duration(None)
    ('0.42 s', '12 s', '2 min 3 s', '2 h 3 min', '–')
    """
    if seconds is None:
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.2g} s" if seconds < 0.95 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(n: int, noun: str) -> str:
    """Write a number with its noun, in the plural where it is not one.

    >>> count(1, "task"), count(1500, "row")
    ('1 task', '1,500 rows')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def shorten(text: str, length: int) -> str:
    """Cut the middle out of a long text, so that both ends stay readable.

    >>> shorten("my_module:my_method", 12)
    'my_mod…ethod'
    """
    if len(text) <= length:
        return text
    head = length // 2
    return f"{text[:head]}…{text[len(text) - (length - head - 1) :]}"


def distinct(names: Sequence[str]) -> list[str]:
    """Return names without the beginning that all of them share, up to its last separator.

    >>> distinct(["csv:a.csv?domain=site&test=north", "csv:a.csv?domain=site&test=south"])
    ['north', 'south']
    >>> distinct(["digits/rotation"])
    ['digits/rotation']
    """
    first, last = min(names, default=""), max(names, default="")
    # What the first and the last in sorted order share, all share.
    same = next((i for i, (a, b) in enumerate(zip(first, last)) if a != b), min(len(first), len(last)))
    # Up to a separator, so that no word is cut.
    cut = max(first[:same].rfind(mark) for mark in "/=?&: ") + 1 if len(names) > 1 else 0
    return [name[cut:] for name in names] if all(len(name) > cut for name in names) else list(names)
