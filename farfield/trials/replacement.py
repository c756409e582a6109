"""What a new embedding model finds in the gallery of the one before it, and in one of its own: one trial of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from farfield.errors import unknown_name
from farfield.measure import compatibility_report
from farfield.trials.generations import Kind, generation

VARIANTS = ("independent", "bct", "bct-wide", "bt2", "bt2-no-q", "bt2-none", "bt2-quarter", "bt2-all", "concatenation")
# Extra dimensions as a share of those set: the paper's a is 32 for 128 dimensions, a quarter of them.
SHARES = {"bt2-none": 0.0, "bt2-quarter": 0.25, "bt2": 1.0, "bt2-all": None}
CHAIN = ("oldest", "own", "middle")
PAIRS = ("old_old", "new_old", "new_new", "star_old", "star_star")


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Replace an embedding model by a newer one, in one way.

    **Arguments:**
    - ``point``: ``variant``, one of `VARIANTS`; ``extra_dims``, a; and what `farfield.trials.generations.generation`
      takes, with the names of two models or, for a chain of replacements, of more.
    - ``seed``: of the data, the networks and all draws.

    **Variants:** "independent" trains the new model without regard to the old; "bct" with the old model's
    pseudo-classifier in the loss; "bct-wide" in its first coordinates, with a further ones; "bt2" by basis
    transformation; "bt2-no-q" without Q; "bt2-none", "bt2-quarter" and "bt2-all" with 0, a / 4 and as many extra
    dimensions as the old model has; "concatenation" keeps both models' vectors one after the other, of which the old
    one's are to be had for old items only.

    **Returns:** ``old_old``, ``new_old``, ``new_new``, ``star_old`` and ``star_star`` (the independent new model), each
    with ``top1``, ``top5``, ``map``; ``gain`` of the update (None where there is nothing to gain) and ``satisfied``, 1
    or 0; differences ``over_old`` = new_old - old_old, ``under_star`` = new_new - star_star, and ``star_over_chance``
    in top-1; ``error`` of the rotations; ``sweep``: a, of variants that differ from "bt2" in it alone; ``chain``, where
    there are more than two models: top-1 by the numbers of the query's and the gallery's generation, such as "3-0", and
    that of the last one on the ``oldest`` gallery and its ``own``, and of the one before it on the gallery before that,
    ``middle``. What does not apply is None.
    """
    variant, last = point["variant"], len(point["upgrade_models"]) - 1
    if variant not in VARIANTS:
        raise unknown_name("variant", variant, VARIANTS)
    sweep = _sweep(point) if variant in SHARES else None
    kind = _kind(point, sweep)
    line = [generation(point, seed, kind, number) for number in range(last + 1)]
    star = generation(point, seed, Kind("independent"), last)
    before, y = line[last - 1].test, star.y
    new = torch.cat([before, star.test], dim=1) if variant == "concatenation" else line[last].test
    report = compatibility_report(before, star.test, {"new": new, "star": star.test}, y)
    found = {
        "old_old": report.old_old, "star_star": report.star_star, "star_old": report.candidates["star"].new_old,
        "new_old": report.candidates["new"].new_old, "new_new": report.candidates["new"].new_new,
    }  # fmt: skip
    result: dict[str, Any] = {pair: dict(vars(found[pair])) for pair in PAIRS}
    for name, (a, b) in {"over_old": ("new_old", "old_old"), "under_star": ("new_new", "star_star")}.items():
        result[name] = {m: result[a][m] - result[b][m] for m in ("top1", "map")}
    new_report = report.candidates["new"]
    return result | {
        "star_over_chance": result["star_old"]["top1"] - _chance(y),
        "gain": {"top1": new_report.gain_top1, "map": new_report.gain_map},
        "satisfied": int(new_report.satisfied),
        "error": line[last].error,
        "dims": new.shape[1],
        "sweep": sweep,
        "chain": _chain([each.test for each in line], y) if last > 1 else dict.fromkeys(CHAIN),
    }


def _kind(point: Mapping[str, Any], sweep: int | None) -> Kind:
    variant = point["variant"]
    if sweep is not None:
        return Kind("bt2", sweep)
    if variant == "bt2-no-q":
        return Kind("bt2", point["extra_dims"], rotate=False)
    if variant == "bct-wide":
        return Kind("bct", point["extra_dims"])
    return Kind("bct") if variant == "bct" else Kind("independent")


def _sweep(point: Mapping[str, Any]) -> int:
    share = SHARES[point["variant"]]
    return point["dims"] if share is None else round(share * point["extra_dims"])


def _chance(y: torch.Tensor) -> float:
    """Return the top-1 of a random order: the mean share of other items with the query's class."""
    counts = torch.bincount(y)[y].double()
    return float(((counts - 1) / (len(y) - 1)).mean())


def _chain(spaces: list[torch.Tensor], y: torch.Tensor) -> dict[str, float]:
    """Return top-1 of each generation's vectors on the gallery of each before it and on its own."""
    found = {}
    for number, gallery in enumerate(spaces):
        later = {str(i): spaces[i] for i in range(number, len(spaces))}
        report = compatibility_report(gallery, gallery, later, y)
        found |= {f"{i}-{number}": each.new_old.top1 for i, each in report.candidates.items()}
    last = len(spaces) - 1
    named = zip(CHAIN, (f"{last}-0", f"{last}-{last}", f"{last - 1}-{last - 2}"), strict=True)
    return found | {name: found[pair] for name, pair in named}
