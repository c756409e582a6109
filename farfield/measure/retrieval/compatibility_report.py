"""Whether new vectors can be searched for in a gallery of old ones, and what that costs them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor
from farfield.measure.retrieval._ranking import BLOCK, first_matches, matches, precisions


@dataclass(frozen=True)
class Retrieval:
    """Quality of one kind of query on one kind of gallery: the share of hits ``top1`` and ``top5``, and ``map``.

    >>> Retrieval(top1=0.5, top5=0.75, map=0.5).top5
    0.75
    """

    top1: float
    top5: float
    map: float


@dataclass(frozen=True)
class Compatibility:
    """How one candidate does.

    **Fields:** ``new_old``: its vectors on the old gallery; ``new_new``: on its own; ``gain_top1``, ``gain_map``: see
    `update_gain`; ``satisfied``: see `compatibility_report`.

    >>> good = Retrieval(1.0, 1.0, 1.0)
    >>> Compatibility(good, good, 1.0, None, True).satisfied
    True
    """

    new_old: Retrieval
    new_new: Retrieval
    gain_top1: float | None
    gain_map: float | None
    satisfied: bool


@dataclass(frozen=True)
class CompatibilityReport:
    """What `compatibility_report` found.

    **Fields:** ``old_old``: the old model alone; ``star_star``: the independent new model alone; ``candidates``, by
    name.

    >>> unit = torch.eye(4).repeat_interleave(2, 0)
    >>> compatibility_report(unit, unit, {"same": unit}, torch.arange(8) // 2).old_old.map
    1.0
    """

    old_old: Retrieval
    star_star: Retrieval
    candidates: Mapping[str, Compatibility]

    def table(self) -> list[dict[str, str | float | bool | None]]:
        """Return a row per pairing: queries, gallery, top1, top5, map; of candidates on the old gallery the gains and verdict too.

        >>> unit = torch.eye(4).repeat_interleave(2, 0)
        >>> rows = compatibility_report(unit, unit, {"same": unit}, torch.arange(8) // 2).table()
        >>> [(row["queries"], row["gallery"]) for row in rows]
        [('old', 'old'), ('new*', 'new*'), ('same', 'old'), ('same', 'same')]
        """
        rows: list[dict[str, str | float | bool | None]] = [
            {"queries": "old", "gallery": "old", **vars(self.old_old)},
            {"queries": "new*", "gallery": "new*", **vars(self.star_star)},
        ]
        for name, each in self.candidates.items():
            gains = {"gain_top1": each.gain_top1, "gain_map": each.gain_map, "satisfied": each.satisfied}
            rows.append({"queries": name, "gallery": "old", **vars(each.new_old), **gains})
            rows.append({"queries": name, "gallery": name, **vars(each.new_new)})
        return rows


def compatibility_report(
    old: Float[Array, "n d_old"],
    new_star: Float[Array, "n d_new"],
    candidates: Mapping[str, Float[Array, "n d"]],
    y: Int[Array, " n"],
    tolerance: float = 0.01,
) -> CompatibilityReport:
    """Compare candidates for a replacement with the old model and with a new one that was trained without regard to it.

    Every item is a query on all others. Distance is 1 minus the inner product over the first dimensions that both have:
    vectors are taken as they are, so bring them to length 1 where their model does. A candidate is ``satisfied`` where
    new/old is above old/old in both top-1 and mAP, and new/new is at most ``tolerance`` below new*/new* in both.

    **Arguments:** ``old``, ``new_star`` (the independent new model), ``candidates`` by name: vectors of the same n >= 2
    items, of any width; ``y``: identities; ``tolerance``: at least 0. float32 is compared in float32. Memory is
    bounded, time grows with n^2.

    Raises InputError where rows do not match.

    Source: Zhou et al., ICCV 2023, sections 3.1 and 4.1.

    >>> import numpy as np
    >>> identity = np.array([0, 0, 1, 1])
    >>> old, new = np.eye(2)[[0, 0, 1, 0]], np.eye(2)[identity]
    >>> report = compatibility_report(old, new, {"turned": new[:, ::-1], "same": new}, identity)
    >>> {name: found.new_old.top1 for name, found in report.candidates.items()}, report.old_old.top1
    ({'turned': 0.0, 'same': 0.75}, 0.5)
    """
    if not tolerance >= 0:
        raise InputError(f"tolerance is {tolerance}; it must be at least 0")
    if not candidates:
        raise InputError("candidates is empty; expected the vectors of at least one, by name")
    gallery = tensor(old, "old", rows=2, dtype=None)
    labels = tensor(y, "y", dims=1, dtype=torch.int64).to(gallery.device)
    star = tensor(new_star, "new_star", rows=2, dtype=None).to(gallery)
    found = {name: tensor(values, name, rows=2, dtype=None).to(gallery) for name, values in candidates.items()}
    same_rows(old=gallery, y=labels, new_star=star)
    for name, values in found.items():
        same_rows(**{"old": gallery, f"the candidate {name}": values})
    old_old, star_star = _retrieval(gallery, gallery, labels), _retrieval(star, star, labels)

    def judge(z: Tensor) -> Compatibility:
        new_old, new_new = _retrieval(z, gallery, labels), _retrieval(z, z, labels)
        pairs = [(getattr(old_old, m), getattr(new_old, m), getattr(star_star, m)) for m in ("top1", "map")]
        close = new_new.top1 >= star_star.top1 - tolerance and new_new.map >= star_star.map - tolerance
        better = all(reached > before for before, reached, _ in pairs)
        return Compatibility(new_old, new_new, *(update_gain(*pair) for pair in pairs), better and close)

    return CompatibilityReport(old_old, star_star, {name: judge(z) for name, z in found.items()})


def update_gain(old_old: float, new_old: float, star_star: float) -> float | None:
    """Return ``(M(new/old) - M(old/old)) / (M(new*/new*) - M(old/old))``: what part of a full re-embedding's gain is had without it.

    0 is the old model's quality, 1 that of the independent new model on a gallery of its own. None where that is no
    better than the old one, so that there is no gain to have.

    Source: Shen et al., CVPR 2020, equation 4.

    >>> update_gain(0.25, 0.5, 0.75), update_gain(0.5, 0.6, 0.5)
    (0.5, None)
    """
    possible = star_star - old_old
    return (new_old - old_old) / possible if possible > 0 else None


def _retrieval(queries: Tensor, gallery: Tensor, y: Tensor) -> Retrieval:
    """Return what queries find in the gallery of the same items, themselves left out."""
    m = min(queries.shape[1], gallery.shape[1])
    n, topk = len(y), min(5, len(y) - 1)
    at_once = max(1, BLOCK // n)
    hits, average = [], []
    for start in range(0, n, at_once):
        block = slice(start, start + at_once)
        found = matches(1 - queries[block, :m] @ gallery[:, :m].T, y[block], y, start, True)
        hits.append(first_matches(found, topk))
        average.append(precisions(found))
    rates = torch.cat(hits).double().mean(0).tolist()
    return Retrieval(rates[0], rates[-1], float(torch.cat(average).mean()))
