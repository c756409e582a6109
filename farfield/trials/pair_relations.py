"""What the gates of pairs tell about classes: how open they are, and whether classes that are alike have like gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from farfield import measure
from farfield.nn.pair_gate import PairGate
from farfield.tasks.shape_colour import SHAPES, TEXTURES
from farfield.tasks.task import Table
from farfield.tasks.two_factor_glyphs import shared_factors

COLOURS = ("red", "green", "blue", "yellow")
PAIRS = 20_000  # looked at, at most
NAMES = (
    "gate_mean", "gate_off", "gate_on", "gate_overlap", "relation_correlation", "shared_factor_gap", "relations", "class_names",
)  # fmt: skip


@torch.no_grad()
def describe(gate: PairGate | None, z: Tensor, test: Table, count: int, seed: int) -> dict[str, Any]:
    """Return what trained gates tell; without a gate every entry is None.

    **Arguments:** ``z``: projected features (n, d) of ``test``, which has ``y``, and ``factors`` or ``character``
    where relations are known; ``count``: classes.

    **Returns:** ``gate_mean``, ``gate_off`` (share below 0.1), ``gate_on`` (share above 0.9) over pairs of classes;
    ``gate_overlap``: of two pairs, mean; ``relation_correlation``: rank correlation, over pairs of classes, of the
    similarity of their gates with what they share: factors of glyphs, or the alphabet of characters;
    ``shared_factor_gap``: see `factor_gap`; ``relations``: the similarities, and ``class_names``, for glyphs.
    """
    found: dict[str, Any] = dict.fromkeys(NAMES)
    if gate is None:
        return found
    device = gate.labels.weight.device
    pairs = torch.combinations(torch.arange(count), with_replacement=True)
    generator = torch.Generator().manual_seed(seed)
    pairs = pairs[torch.randperm(len(pairs), generator=generator)[:PAIRS]]
    gates = gate(*pairs.T.to(device)).cpu()
    found |= {
        "gate_mean": float(gates.mean()),
        "gate_off": float((gates < 0.1).double().mean()),
        "gate_on": float((gates > 0.9).double().mean()),
        "gate_overlap": float(measure.gate_overlap(gates, gates.roll(1, 0)).mean()),
    }
    relations, y = gate.class_relations().cpu(), test.columns["y"]
    first = torch.stack([(y == c).nonzero()[0, 0] for c in range(count)])
    if "factors" in test.columns:
        factors = test.columns["factors"][first]
        shared = shared_factors(factors)
        found["shared_factor_gap"] = factor_gap(gate, z, test.columns["factors"], factors)
        found["relations"] = [[round(v, 3) for v in row] for row in relations.tolist()]
        found["class_names"] = [[SHAPES[a], TEXTURES[b], COLOURS[c]] for a, b, c in factors.tolist()]
    elif "character" in test.columns:
        alphabet = _alphabets(test.columns["character"][first])
        shared = (alphabet[:, None] == alphabet).long()
    else:
        return found
    found["relation_correlation"] = _rank_correlation(relations, shared)
    return found


@torch.no_grad()
def factor_gap(gate: PairGate, z: Tensor, factors: Tensor, of_class: Tensor) -> float | None:
    """Return how much more gates of pairs that share one factor follow the features which tell that factor than the others.

    For every pair of classes with exactly one factor in common: the correlation, over features, of the gate with the
    share of a feature's variance that the common factor explains, minus the mean of that for the other factors; from
    -2 to 2, the mean over such pairs. None where there is no such pair.

    **Arguments:** ``z`` (n, d), ``factors`` (n, f): of rows; ``of_class`` (C, f): of each class.
    """
    told = torch.stack([explained(z, factors[:, i]) for i in range(factors.shape[1])])  # (f, d)
    a, b = torch.combinations(torch.arange(len(of_class))).T
    same = of_class[a] == of_class[b]  # (pairs, f)
    one = same.sum(1) == 1
    if not one.any():
        return None
    device = gate.labels.weight.device
    gates = gate(a[one].to(device), b[one].to(device)).cpu()
    correlation = _standard(gates.double()) @ _standard(told.double()).T  # (pairs, f)
    own = same[one]
    rest = (correlation * ~own).sum(1) / (own.shape[1] - 1)
    return float(((correlation * own).sum(1) - rest).mean())


def explained(z: Tensor, labels: Tensor) -> Tensor:
    """Return the share of each feature's variance (d,) between the groups of these labels, 0 for a constant feature.

    >>> explained(torch.tensor([[0.0, 1.0], [0.0, 3.0], [2.0, 1.0], [2.0, 3.0]]), torch.tensor([0, 0, 1, 1]))
    tensor([1., 0.])
    """
    centred = z - z.mean(0)
    total = centred.square().sum(0)
    _, group, counts = labels.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(counts), z.shape[1], dtype=z.dtype).index_add_(0, group, centred)
    between = (sums.square() / counts[:, None]).sum(0)
    return torch.where(total > 0, between / total.clamp_min(torch.finfo(z.dtype).tiny), 0.0)


def _standard(rows: Tensor) -> Tensor:
    return normalize(rows - rows.mean(1, keepdim=True), dim=1)


def _rank_correlation(relations: Tensor, shared: Tensor) -> float | None:
    from scipy import stats

    a, b = torch.combinations(torch.arange(len(relations))).T
    x, y = relations[a, b].numpy(), shared[a, b].numpy()
    return float(stats.spearmanr(x, y).statistic) if len(set(y)) > 1 and len(set(x)) > 1 else None


def _alphabets(characters: Tensor) -> Tensor:
    from farfield.tasks.sources import drawings

    known = drawings(21)
    table = torch.zeros(len(known.characters), dtype=torch.long)
    table[torch.as_tensor(known.character)] = torch.as_tensor(known.alphabet)
    return table[characters]
