"""Options in a model's name, such as ``mlp?hidden=256``: their type, their range and their default."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farfield.errors import InputError
from farfield.names import Name


@dataclass(frozen=True)
class Option:
    """One option: ``kind`` is int, float or str; a number lies in [``low``, ``high``], a word is one of ``choices``.

    >>> Option(int, 256, low=1, high=65536).read("hidden", "64", owner="mlp")
    64
    """

    kind: type
    default: Any
    low: int | float = 0
    high: int | float = 0
    choices: tuple[str, ...] = ()

    def read(self, label: str, text: str, *, owner: str) -> Any:
        """Return the value that ``text`` stands for.

        Raises InputError where it has the wrong type, lies outside the range or is none of the choices.
        """
        if self.choices:
            if text in self.choices:
                return text
            raise InputError(f"{label}={text} of the model {owner} must be one of {', '.join(self.choices)}")
        whole = "a whole number" if self.kind is int else "a number"
        expected = f"{label}={text} of the model {owner} must be {whole} from {self.low:g} to {self.high:g}"
        try:
            value = self.kind(text)
        except ValueError:
            raise InputError(expected) from None
        # Written this way round, so that nan is refused too.
        if not self.low <= value <= self.high:
            raise InputError(expected)
        return value


def read_options(name: Name, options: Mapping[str, Option]) -> dict[str, Any]:
    """Return a value for every option: the one in the name, or its default.

    Raises InputError on an unknown option (with the nearest), and on a value that does not fit.

    >>> from farfield.names import parse
    >>> read_options(parse("mlp?depth=3"), {"depth": Option(int, 2, low=1, high=64)})
    {'depth': 3}
    """
    name.check_options(list(options))
    owner = name.path if name.kind in ("builtin", "module") else f"{name.kind}:{name.path}"
    return {
        label: option.read(label, name.options[label], owner=owner) if label in name.options else option.default
        for label, option in options.items()
    }
