"""Bits of which several Boolean features are to be learned at once: easy ones and hard ones, balanced and independent."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.tasks.labelled_features import LabelledFeatures, draw_mask

KINDS = ("bit", "sum", "and", "xor", "parity")
EASY_AND_HARD = {"easy": ("bit", 0), "hard": ("xor", (1, 2, 3))}
# All combinations of a feature's bits are listed.
MOST_BITS = 16


class BooleanFeatures(LabelledFeatures):
    """Inputs of -1 and +1 with Boolean features of them as labels: each 0 or 1, balanced, and independent of the others.

    A feature is a kind and the bits that it is made of:

    - ``("bit", 0)``: input 0 is +1;
    - ``("sum", (1, 2, 3))``: the sum of these inputs is above 0 (their majority);
    - ``("and", (1, 2))``: all of them are +1;
    - ``("xor", (1, 2, 3))``: an odd number of them are +1; ``"parity"`` is another word for it.

    In place of a bit there may be a feature: ``("xor", (("and", (1, 2)), 3))``. No two features share a bit, since they would
    not be independent. The value of each feature is drawn first, 0 or 1 alike, then one of the combinations of its
    bits that give it; so "and" is balanced too, at the price of bits that are not. Bits that no feature uses are
    noise.

    **Arguments:**
    - ``n``: rows; ``n_inputs``: bits in each.
    - ``prevalence``: feature -> share of rows whose label counts, see ``mask`` of `LabelledFeatures`; 1 where it is not named.
    - ``factorial``: all combinations of the used bits come up equally often (exactly where n is a multiple of their number,
      otherwise as nearly as n allows): features are then exactly balanced and uncorrelated, for testing.
    - ``seed``: of all draws.

    **Fields** besides those of `LabelledFeatures`: ``bits``: feature -> the inputs that it uses.

    Raises InputError on an unknown kind, a bit outside the inputs, one that two features share, a feature that is
    always the same, more than 16 bits in a feature, and an n below the number of combinations where ``factorial``.

    Source: Lampinen, Chan, Hermann, TMLR 2024; Hermann, Lampinen, NeurIPS 2020.

    >>> data = BooleanFeatures(64, n_inputs=8, factorial=True, seed=0)
    >>> data.x.shape, data.y.sum(0).tolist(), data.bits["hard"]
    (torch.Size([64, 8]), [32, 32], (1, 2, 3))
    """

    def __init__(
        self,
        n: int,
        n_inputs: int = 32,
        features: Mapping[str, tuple[str, Any]] = EASY_AND_HARD,
        *,
        prevalence: Mapping[str, float] | None = None,
        factorial: bool = False,
        seed: int = 0,
    ):
        if n < 1 or n_inputs < 1 or not features:
            raise InputError(f"n is {n}, n_inputs {n_inputs} and features {list(features)}; each must be at least one")
        self.bits = {name: _bits(name, feature, n_inputs) for name, feature in features.items()}
        _check_disjoint(self.bits)
        generator = torch.Generator().manual_seed(seed)
        x = torch.randint(2, (n, n_inputs), generator=generator)
        y = torch.empty(n, len(features), dtype=torch.long)
        cell = torch.randperm(n, generator=generator)
        combinations_before = 1
        for i, (name, feature) in enumerate(features.items()):
            table = _balanced_table(name, feature, self.bits[name])
            if factorial:
                # The row's cell in mixed radix: one digit for each feature.
                combination = (cell // combinations_before) % len(table)
                combinations_before *= len(table)
            else:
                combination = torch.randint(len(table), (n,), generator=generator)
            x[:, list(self.bits[name])] = table[combination]
            y[:, i] = evaluate(feature, x)
        if factorial and n < combinations_before:
            raise InputError(
                f"n is {n}, but the features' bits have {combinations_before} combinations; give at least as many rows"
            )
        mask = draw_mask(n, list(features), prevalence or {}, generator)
        super().__init__(2.0 * x - 1, y, names=tuple(features), classes=(2,) * len(features), mask=mask)

    def components(self) -> dict[str, Tensor]:
        """Return "feature: bit i" -> that bit (n,), 0 or 1, for every feature of more than one bit.

        >>> list(BooleanFeatures(8, n_inputs=4).components())
        ['hard: bit 1', 'hard: bit 2', 'hard: bit 3']
        """
        several = {name: bits for name, bits in self.bits.items() if len(bits) > 1}
        return {f"{name}: bit {b}": (self.x[:, b] > 0).long() for name, bits in several.items() for b in bits}


def evaluate(feature: tuple[str, Any], x: Tensor) -> Tensor:
    """Return a feature (n,) of bits (n, inputs), all 0 or 1.

    >>> evaluate(("xor", (("and", (0, 1)), 2)), torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 1]])).tolist()
    [0, 1, 1]
    """
    kind, terms = feature
    if kind == "bit":
        return x[:, terms]
    values = torch.stack([x[:, t] if isinstance(t, int) else evaluate(t, x) for t in terms])
    if kind == "and":
        return values.prod(0)
    return values.sum(0) % 2 if kind in ("xor", "parity") else (2 * values.sum(0) > len(values)).long()


def _bits(name: str, feature: tuple[str, Any], n_inputs: int) -> tuple[int, ...]:
    """Return the inputs that a feature uses, sorted, after checking how it is written."""
    found = _read(name, feature)
    outside = [b for b in found if not 0 <= b < n_inputs]
    if outside:
        raise InputError(f"the feature {name!r} uses the input {outside[0]}; there are inputs 0 to {n_inputs - 1}")
    if len(set(found)) < len(found):
        raise InputError(f"the feature {name!r} uses an input twice: {feature!r}")
    if len(found) > MOST_BITS:
        raise InputError(f"the feature {name!r} uses {len(found)} inputs; at most {MOST_BITS} can be balanced")
    return tuple(sorted(found))


def _read(name: str, feature: Any) -> list[int]:
    if not isinstance(feature, Sequence) or isinstance(feature, str) or len(feature) != 2:
        raise InputError(f"the feature {name!r} is {feature!r}; expected a kind and its bits, such as ('xor', (1, 2))")
    kind, terms = feature
    if kind not in KINDS:
        raise unknown_name(f"kind of the feature {name!r}", str(kind), KINDS)
    if kind == "bit":
        if not isinstance(terms, int):
            raise InputError(f"the feature {name!r} is {feature!r}; a bit takes one whole number")
        return [terms]
    if not isinstance(terms, Sequence) or isinstance(terms, str) or len(terms) < 2:
        raise InputError(f"the feature {name!r} is {feature!r}; {kind} takes at least two bits or features")
    return [b for t in terms for b in ([t] if isinstance(t, int) else _read(name, t))]


def _check_disjoint(bits: Mapping[str, tuple[int, ...]]) -> None:
    owner: dict[int, str] = {}
    for name, used in bits.items():
        for b in used:
            if b in owner:
                raise InputError(
                    f"the features {owner[b]!r} and {name!r} share the input {b}, so they are not independent"
                )
            owner[b] = name


def _balanced_table(name: str, feature: tuple[str, Any], bits: tuple[int, ...]) -> Tensor:
    """Return combinations of a feature's bits (rows, bits), each value of the feature in half of the rows, uniform within it."""
    width = max(bits) + 1
    every = (torch.arange(2 ** len(bits))[:, None] >> torch.arange(len(bits))) & 1
    whole = torch.zeros(len(every), width, dtype=torch.long)
    whole[:, list(bits)] = every
    value = evaluate(feature, whole)
    zeros, ones = every[value == 0], every[value == 1]
    if not len(zeros) or not len(ones):
        raise InputError(f"the feature {name!r} is always {int(value[0])}: {feature!r}")
    common = torch.lcm(torch.tensor(len(zeros)), torch.tensor(len(ones)))
    return torch.cat([zeros.repeat(int(common) // len(zeros), 1), ones.repeat(int(common) // len(ones), 1)])
