"""Strings of letters of which several features are to be told, one token after the other, in an order that can be chosen."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.tasks.labelled_features import LabelledFeatures

# Strings drawn before a combination of features counts as impossible, per row that is wanted.
DRAWS = 2000
KINDS: dict[str, tuple[int, Callable[..., Tensor]]] = {
    # The number of arguments, and (strings, letters, *arguments) -> truth values.
    "contains": (1, lambda x, letters, token: (x == token).any(1)),
    "class": (1, lambda x, letters, position: x[:, position] < letters // 2),
    "parity": (1, lambda x, letters, token: (x == token).sum(1) % 2 == 1),
    "match": (2, lambda x, letters, first, second: x[:, first] == x[:, second]),
}
DEFAULT = {"first": ("class", 0), "contains": ("contains", 3), "parity": ("parity", 5), "match": ("match", 4, 8)}


class StringFeatures(LabelledFeatures):
    """Random strings with features of them as labels: each 0 or 1, all combinations of the features equally often.

    A feature is a kind and its arguments:

    - ``("contains", token)``: the token comes up anywhere;
    - ``("class", position)``: the token there is of the first half of the letters; ``("class", 0)`` is the first token's;
    - ``("parity", token)``: the token comes up an odd number of times;
    - ``("match", position, position)``: the tokens at two positions are the same.

    Strings are drawn uniformly, and kept so that each combination of the features' values has the same number of rows
    (up to one): features are balanced and independent, whatever they have in common otherwise.

    **Arguments:** ``n``: rows; ``letters``: tokens 0 to letters - 1; ``length``: of a string; ``seed``: of all draws.

    **Fields** besides those of `LabelledFeatures`: ``x`` is (n, length) int64; ``vocabulary``: the letters, a separator and the
    two values.

    Raises InputError on an unknown kind, arguments outside letters or length, and a combination of values that does not
    come up, such as two features that are the same.

    Source: Lampinen, Chan, Hermann, TMLR 2024 (features of strings told by transformers).

    >>> data = StringFeatures(32, features={"a": ("contains", 3), "b": ("contains", 5)}, seed=0)
    >>> data.y.sum(0).tolist(), data.sequences(("b", "a")).shape, data.vocabulary
    ([16, 16], torch.Size([32, 15]), 19)
    """

    def __init__(
        self,
        n: int,
        features: Mapping[str, tuple] = DEFAULT,
        *,
        letters: int = 16,
        length: int = 12,
        seed: int = 0,
    ):
        if n < 1 or letters < 2 or length < 1 or not features:
            raise InputError(
                f"n is {n}, letters {letters}, length {length}, features {list(features)}; expected at least one row, two "
                "letters, one position and one feature"
            )
        for name, feature in features.items():
            _check(name, feature, letters, length)
        self.letters, self.length = letters, length
        x, y = _draw_balanced(n, features, letters, length, torch.Generator().manual_seed(seed))
        super().__init__(x, y, names=tuple(features), classes=(2,) * len(features))

    @property
    def separator(self) -> int:
        """The token between a string and its features; the values 0 and 1 are the two tokens after it."""
        return self.letters

    @property
    def vocabulary(self) -> int:
        """The number of tokens: letters, separator and two values."""
        return self.letters + 3

    def sequences(self, order: Sequence[str] | None = None) -> Tensor:
        """Return (n, length + 1 + features) int64: string, separator, then the values of the features in this order.

        **Arguments:** ``order``: every name once; by default as given.

        Raises InputError on another list of names.
        """
        order = list(self.names if order is None else order)
        if sorted(order) != sorted(self.names):
            raise InputError(f"order is {order}; it must name each of {list(self.names)} once")
        separators = torch.full((len(self), 1), self.separator)
        values = self.y[:, [self.names.index(name) for name in order]]
        return torch.cat([self.x, separators, values + self.separator + 1], 1)


def _check(name: str, feature: Sequence, letters: int, length: int) -> None:
    if isinstance(feature, str) or not feature:
        raise InputError(
            f"the feature {name!r} is {feature!r}; expected a kind and its arguments, such as ('contains', 3)"
        )
    kind, *arguments = feature
    if kind not in KINDS:
        raise unknown_name(f"kind of the feature {name!r}", str(kind), KINDS)
    below, what = (letters, "token") if kind in ("contains", "parity") else (length, "position")
    fits = all(isinstance(a, int) and 0 <= a < below for a in arguments)
    if len(arguments) != KINDS[kind][0] or not fits or len(set(arguments)) < len(arguments):
        raise InputError(
            f"the feature {name!r} is {feature!r}; {kind} takes {KINDS[kind][0]} different {what}(s) from 0 to {below - 1}"
        )


def _draw_balanced(
    n: int, features: Mapping[str, tuple], letters: int, length: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    cells = 2 ** len(features)
    # Which cells get one row more where n is no multiple is drawn too.
    wanted = torch.full((cells,), n // cells)
    wanted[torch.randperm(cells, generator=generator)[: n % cells]] += 1
    kept, found, drawn = [], torch.zeros(cells, dtype=torch.long), 0
    while (found < wanted).any():
        if drawn > DRAWS * max(n, 100):
            missing = int(torch.nonzero(found < wanted)[0])
            values = {name: missing >> i & 1 for i, name in enumerate(features)}
            raise InputError(f"strings with {values} are too rare: {int(found[missing])} in {drawn:,} draws")
        x = torch.randint(letters, (max(4 * n, 4096), length), generator=generator)
        drawn += len(x)
        y = torch.stack([KINDS[f[0]][1](x, letters, *f[1:]) for f in features.values()], 1).long()
        cell = (y << torch.arange(len(features))).sum(1)
        for c in range(cells):
            rows = torch.nonzero(cell == c).flatten()[: int(wanted[c] - found[c])]
            found[c] += len(rows)
            kept.append((x[rows], y[rows]))
    x, y = (torch.cat(parts) for parts in zip(*kept))
    order = torch.randperm(n, generator=generator)
    return x[order], y[order]
