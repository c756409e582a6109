"""Whether two representations of the same examples agree, each number beside what it is by chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from farfield.inspect.findings import Findings
from farfield.inspect.read import Representation
from farfield.measure import (
    UnitCorrelation,
    bipartite_match,
    cca,
    compare_rdms,
    geotopological,
    linear_cka,
    match_summary,
    procrustes_distance,
    rdm,
    relative_representation,
    relative_similarity,
    semi_match,
    space_agreement,
)

ANCHORS = 300
# Above so many columns matching one to one, and CCA, take too long for a report.
MOST_COLUMNS = 2048
# What counts as near in the comparison of neighbourhoods: the nearest 30 % of pairs.
WINDOW = (0.0, 0.3)


def agreement(found: Findings, a: Representation, b: Representation, x: Tensor, y: Tensor, *, seed: int) -> None:
    """Add every comparison of two representations from the same sampled rows.

    **Arguments:** ``x`` (n, d1), ``y`` (n, d2): the sampled rows. By chance means: with the rows of ``y`` in another order.
    """
    generator = np.random.default_rng([seed, 1])
    shuffled = y[torch.from_numpy(generator.permutation(len(y)))]
    few = min(len(x), ANCHORS + 10)
    anchors = torch.from_numpy(np.sort(generator.choice(len(x), min(ANCHORS, max(2, few - 10)), replace=False)))

    def both(measure: str, what: str, function: Callable[[Tensor], float]) -> None:
        with found.attempt(what, a.name, b.name):
            found.add(a.name, measure, function(y), len(x), against=b.name, chance=function(shuffled))

    cka(found, a, b, x, y, seed=seed)
    narrow = max(x.shape[1], y.shape[1]) <= MOST_COLUMNS
    if narrow:
        both("cca", "CCA", lambda other: cca(x, other))
    else:
        found.skip("CCA", f"{a.name} and {b.name}", f"one has more than {MOST_COLUMNS:,} columns")
    both("procrustes", "the Procrustes distance", lambda other: procrustes_distance(x, other))
    with found.attempt("RSA", a.name, b.name):
        distances = rdm(x)
        topology = geotopological(distances, *WINDOW)
        values = []
        for other in (y, shuffled):
            others = rdm(other)
            near = compare_rdms(topology, geotopological(others, *WINDOW), "pearson")
            values.append((compare_rdms(distances, others), near))
        found.add(a.name, "rsa", values[0][0], len(x), against=b.name, chance=values[1][0])
        found.add(a.name, "rsa_topology", values[0][1], len(x), against=b.name, chance=values[1][1])
    both(
        "relative_similarity",
        "relative similarity",
        lambda o: float(relative_similarity(x, o, anchors, center=True).mean()),
    )
    with found.attempt("shared neighbours", a.name, b.name):
        relative = [relative_representation(v, anchors, center=True) for v in (x, y, shuffled)]
        topk = min(10, len(x) - 1)
        real, chance = (space_agreement(relative[0], other, topk=topk) for other in relative[1:])
        found.add(a.name, "neighbours_shared", real.jaccard, len(x), against=b.name, chance=chance.jaccard)
        found.add(a.name, "retrieval", real.mrr, len(x), against=b.name, chance=chance.mrr)
    if narrow:
        _matching(found, a, b, x, y, shuffled)
    else:
        found.skip("unit matching", f"{a.name} and {b.name}", f"one has more than {MOST_COLUMNS:,} columns")


def cka(found: Findings, a: Representation, b: Representation, x: Tensor, y: Tensor, *, seed: int) -> None:
    """Add linear CKA alone."""
    with found.attempt("linear CKA", a.name, b.name):
        shuffled = y[torch.from_numpy(np.random.default_rng([seed, 1]).permutation(len(y)))]
        found.add(a.name, "linear_cka", linear_cka(x, y), len(x), against=b.name, chance=linear_cka(x, shuffled))


def _matching(found: Findings, a: Representation, b: Representation, x: Tensor, y: Tensor, shuffled: Tensor) -> None:
    with found.attempt("unit matching", a.name, b.name):
        summaries, curves = [], {}
        for label, other in (("real", y), ("chance", shuffled)):
            units = UnitCorrelation(x.shape[1], y.shape[1], within=False).update(x, other).result().drop_dead()
            summaries.append(match_summary(units.between))
            best = semi_match(units.between)[1]
            index, one = bipartite_match(units.between)
            curves[label] = {
                "best partner": np.sort(best.numpy())[::-1].tolist(),
                "one to one": np.sort(one[index >= 0].numpy())[::-1].tolist(),
            }
        real, chance = summaries
        found.add(a.name, "matching_greedy", real.greedy, len(x), against=b.name, chance=chance.greedy)
        found.add(a.name, "matching_one_to_one", real.matching, len(x), against=b.name, chance=chance.matching)
        found.draw("matching", f"{a.name} and {b.name}", curves)
