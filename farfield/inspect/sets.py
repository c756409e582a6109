"""Whether the layers of one model can be told by those of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from farfield.inspect.findings import Findings
from farfield.inspect.read import Representation
from farfield.measure import identification_accuracy, rank_minmax, rdm, trsa_grid

# Distances between more rows than this tell layers no better, and a window costs a pass over them.
ROWS = 100
STEP = 0.1


def identification(
    found: Findings, everything: Sequence[Representation], samples: Sequence[Tensor], *, seed: int
) -> None:
    """Add how well layers are told across models, where several models have the same several layers."""
    sources = list(dict.fromkeys(r.source for r in everything))
    shared = [part for part in dict.fromkeys(r.part for r in everything if r.part) if all(
        any(r.source == s and r.part == part for r in everything) for s in sources
    )]  # fmt: skip
    if len(sources) < 2 or len(shared) < 2:
        return
    who = f"{len(shared)} layers of {len(sources)} models"
    with found.attempt("which layer is which", who):
        used = [(r, x) for r, x in zip(everything, samples) if r.part in shared]
        n = len(used[0][1])
        at = np.sort(np.random.default_rng([seed, 2]).choice(n, min(ROWS, n), replace=False))
        rdms = torch.stack([rdm(x[torch.from_numpy(at)]) for _, x in used])
        subject, label = [r.source for r, _ in used], [r.part for r, _ in used]
        by_ranks = identification_accuracy(rank_minmax(rdms), subject, label)
        grid = trsa_grid(rdms, subject, label, step=STEP)
        best = grid.loc[grid["accuracy"].idxmax()]
        chance = 1 / len(shared)
        found.add(who, "identification", by_ranks, len(at), chance=chance)
        found.add(who, "identification_best", float(best["accuracy"]), len(at), chance=chance)
        found.draw("windows", who, grid.to_dict("list") | {"best": [float(best["l"]), float(best["u"])]})
