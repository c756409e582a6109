"""Domains in which a label goes with a nuisance, does not, or goes with it the other way round."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from farfield.errors import InputError


@dataclass(frozen=True)
class ConfoundedDomains:
    """Rows of three domains, and the rule that the first follows.

    **Fields:** ``source``: rows of which a share p follows the rule; ``none``: rows in which the label is independent of the nuisance;
    ``reversed``: rows of which a share 1 - p follows the rule. Each sorted, int64; the three may share rows. ``rule``: value of
    the nuisance -> label.
    """

    source: np.ndarray
    none: np.ndarray
    reversed: np.ndarray
    rule: Mapping[int, int]


def confounded_domains(
    y: Int[np.ndarray, " n"],
    nuisance: Int[np.ndarray, " n"],
    p: float,
    seed: int = 0,
    *,
    rule: Mapping[int, int] | None = None,
) -> ConfoundedDomains:
    """Return rows such that within each value of the nuisance a given share has the label that a rule names.

    As many rows as possible are kept of each value, up to the rounding of counts, so that shares are exact whatever the labels
    were like before. Call it with the same ``rule`` on training and on test rows.

    **Arguments:**
    - ``y``, ``nuisance``: (n,) integers. ``p``: the share in ``source``, from 0 to 1.
    - ``seed``: which rows are kept, and which values get which label where no rule is given.
    - ``rule``: label by value. By default the labels in turn, drawn to values: of 7 values and labels 0 and 1, three have 1.

    Raises InputError on a share out of range, one label only, arrays that do not match, or a value that the rule leaves out.

    >>> y, group = np.arange(400) % 2, np.repeat([0, 1], 200)
    >>> found = confounded_domains(y, group, 0.9, rule={0: 1, 1: 0})
    >>> [round(float((y[r] == 1 - group[r]).mean()), 2) for r in (found.source, found.none, found.reversed)]
    [0.9, 0.5, 0.1]
    """
    y, nuisance = np.asarray(y), np.asarray(nuisance)
    if y.ndim != 1 or y.shape != nuisance.shape or y.dtype.kind not in "iu" or nuisance.dtype.kind not in "iu":
        raise InputError(
            f"y has shape {y.shape} and dtype {y.dtype}, nuisance {nuisance.shape} and {nuisance.dtype}; expected (n,) integers twice"
        )
    if not 0 <= p <= 1:
        raise InputError(f"p is {p}; it must be from 0 to 1")
    labels, values = np.unique(y), np.unique(nuisance)
    if len(labels) < 2:
        raise InputError(f"y has {len(labels)} label; a nuisance can go with at least two")
    rng = np.random.default_rng([seed, 0xC0])
    drawn = rng.permutation(values)
    if rule is None:
        rule = {int(v): int(labels[i % len(labels)]) for i, v in enumerate(drawn)}
    missing = sorted(set(values.tolist()) - set(rule))
    if missing:
        raise InputError(f"the rule has no label for the value {missing[0]} of the nuisance; it names {sorted(rule)}")
    follows = y == np.array([rule[int(v)] for v in nuisance])
    shares = {"source": p, "none": 1 / len(labels), "reversed": 1 - p}
    rows = {}
    for name, share in shares.items():
        kept = []
        for value in values:
            inside = [rng.permutation(np.flatnonzero((nuisance == value) & (follows == f))) for f in (True, False)]
            # The most rows of which a share follows the rule and the rest does not.
            most = min(len(part) / s for part, s in zip(inside, (share, 1 - share)) if s > 0)
            kept += [part[: min(round(most * s), len(part))] for part, s in zip(inside, (share, 1 - share))]
        rows[name] = np.sort(np.concatenate(kept))
    return ConfoundedDomains(**rows, rule=dict(rule))
