"""Whether a cluster of units spans one subspace in two networks, with other basis vectors in each."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor
from farfield.measure.matching.assignment import bipartite_match
from farfield.measure.matching.spectral import labels_of
from farfield.measure.matching.unit_correlation import UnitStatistics


@dataclass(frozen=True)
class ClusterSimilarity:
    """How much the units of two networks in one cluster share.

    **Fields:** ``label``; ``size_a``, ``size_b``: units of each network; ``canonical``: mean squared canonical correlation of the
    two subspaces, 0 to 1; ``one_to_one``: mean squared correlation of the best one-to-one pairs; ``one_to_one_abs``: the same
    pairing's mean |correlation|. Where ``canonical`` is well above ``one_to_one`` the subspace is shared, its basis is not.
    """

    label: int
    size_a: int
    size_b: int
    canonical: float
    one_to_one: float
    one_to_one_abs: float


def cluster_subspace_similarity(
    statistics: UnitStatistics, labels_a: Int[Array, "d_a"], labels_b: Int[Array, "d_b"]
) -> list[ClusterSimilarity]:
    """Return for each cluster with units of both networks how similar their subspaces and their single units are.

    Both are means over as many directions or pairs as the smaller subspace has dimensions, or the smaller side has units.
    With one unit on each side they are equal.

    **Arguments:** ``statistics``: of `UnitCorrelation` with ``within=True``; ``labels_a``, ``labels_b``: as of
    `joint_spectral_clusters`, -1 for units left out.

    Raises InputError where the correlations within a network are missing, or labels do not fit.

    Source: the numeric side of Li et al., ICLR 2016, section 3.4, where clusters are compared by eye.

    >>> from farfield.measure.matching.unit_correlation import UnitCorrelation
    >>> a = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> b = a @ torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # the same plane, turned by 45 degrees
    >>> (found,) = cluster_subspace_similarity(UnitCorrelation(2, 2).update(a, b).result(), torch.zeros(2), torch.zeros(2))
    >>> round(found.canonical, 6), found.one_to_one < 0.6
    (1.0, True)
    """
    if statistics.within_a is None or statistics.within_b is None:
        raise InputError("statistics lack the correlations within each network: make them with within=True")
    own_a, own_b = tensor(statistics.within_a, "within_a"), tensor(statistics.within_b, "within_b")
    between = tensor(statistics.between, "between")
    of_a, of_b = labels_of(labels_a, "labels_a", len(own_a)), labels_of(labels_b, "labels_b", len(own_b))
    found = []
    for label in range(1 + max(int(of_a.max()), int(of_b.max()))):
        a, b = (of_a == label).nonzero().flatten(), (of_b == label).nonzero().flatten()
        if not len(a) or not len(b):
            continue
        block = between[a][:, b]
        index, squared = bipartite_match(block.square())
        paired = squared[index >= 0]
        found.append(
            ClusterSimilarity(
                label,
                len(a),
                len(b),
                _canonical(own_a[a][:, a], own_b[b][:, b], block),
                float(paired.mean()),
                float(paired.sqrt().mean()),
            )
        )
    return found


def _canonical(own_a: Float[Tensor, "p p"], own_b: Float[Tensor, "q q"], between: Float[Tensor, "p q"]) -> float:
    white_a, white_b = _whitener(own_a), _whitener(own_b)
    dimensions = min(white_a.shape[1], white_b.shape[1])
    if not dimensions:
        return 0.0  # only dead units on one side
    return min(1.0, float((white_a.T @ between @ white_b).square().sum()) / dimensions)


def _whitener(own: Float[Tensor, "p p"]) -> Float[Tensor, "p rank"]:
    values, vectors = torch.linalg.eigh(own)
    kept = values > 1e-10 * max(1.0, float(values[-1]))
    return vectors[:, kept] * values[kept].rsqrt()
