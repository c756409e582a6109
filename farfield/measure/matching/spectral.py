"""Groups of units of two networks that share what they encode, however it is spread over their members."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor


@dataclass(frozen=True)
class JointClusters:
    """Clusters over the units of two networks.

    **Fields:** ``labels_a`` (d_a,), ``labels_b`` (d_b,): 0..k-1, -1 for a unit without any edge, such as a dead one;
    ``eigenvalues``: of the graph's normalised Laplacian, ascending, from 0 to 2; ``k`` clusters.
    """

    labels_a: Int[Array, "d_a"]
    labels_b: Int[Array, "d_b"]
    eigenvalues: Float[Array, "units"]
    k: int


def joint_spectral_clusters(
    between: Float[Array, "d_a d_b"],
    within_a: Float[Array, "d_a d_a"] | None = None,
    within_b: Float[Array, "d_b d_b"] | None = None,
    k: int | None = None,
    *,
    row_normalize: bool = True,
    seed: int = 0,
) -> JointClusters:
    """Return clusters of the units of both networks together, by normalised spectral clustering on |correlation|.

    The graph has an edge between each unit of one network and each of the other, of weight |between|, and only those: a
    cluster is what is shared. Give ``within_a`` and ``within_b`` to add edges inside each network.
    ``L = I - D^-1/2 W D^-1/2``; each unit is placed by the eigenvectors of the k smallest eigenvalues, scaled to length 1
    with ``row_normalize`` (Ng et al., 2001), and k-means (best of 10 starts) finds the clusters.

    Eigenvalue 0 has as many eigenvectors as the graph has unconnected parts, and with edges between the networks only,
    eigenvalues lie symmetrically about 1. Units without an edge are left out of the graph.

    **Arguments:** ``k``: clusters, from 1 to the number of units; None takes the largest gap between neighbouring
    eigenvalues in their lower half, at least 2; ``seed``: of k-means.

    Raises InputError where shapes do not fit, only one of the within matrices is given, a value is not finite, or k is
    out of range.

    Source: Li et al., ICLR 2016, section 3.4.

    >>> found = joint_spectral_clusters(np.array([[0.9, 0.0], [0.0, -0.8]]), k=2)
    >>> bool(found.labels_a[0] == found.labels_b[0] != found.labels_a[1]), found.eigenvalues.round(6).tolist()
    (True, [0.0, 0.0, 2.0, 2.0])
    """
    from sklearn.cluster import KMeans

    graph = _graph(between, within_a, within_b)
    d_a = len(tensor(between, "between"))
    degree = graph.sum(1)
    linked = degree > 0
    units = int(linked.sum())
    if units < 2:
        raise InputError("between is 0 everywhere, so no unit has anything to share a cluster with")
    if k is not None and not 1 <= k <= units:
        raise InputError(f"k is {k}; it must be from 1 to the {units} units with an edge")
    scale = degree[linked].rsqrt()
    laplacian = torch.eye(units, dtype=graph.dtype, device=graph.device) - (
        graph[linked][:, linked] * scale[:, None] * scale
    )
    eigenvalues, vectors = torch.linalg.eigh(laplacian)
    eigenvalues = eigenvalues.clamp(0, 2)
    if k is None:
        k = 2 + int(eigenvalues.diff()[1 : max(2, units // 2)].argmax()) if units > 2 else 2
    placed = vectors[:, :k]
    if row_normalize:
        placed = placed / placed.norm(dim=1, keepdim=True).clamp(min=1e-12)
    means = KMeans(k, n_init=10, random_state=seed).fit(placed.cpu().numpy())
    labels = torch.full((len(graph),), -1, dtype=torch.int64, device=graph.device)
    labels[linked] = torch.from_numpy(means.labels_).to(labels)
    return JointClusters(like(labels[:d_a], between), like(labels[d_a:], between), like(eigenvalues, between), k)


def cluster_tree(
    between: Float[Array, "d_a d_b"], labels_a: Int[Array, "d_a"], labels_b: Int[Array, "d_b"]
) -> Float[np.ndarray, "k-1 4"]:
    """Return the tree that joins the two most similar clusters until one is left, in scipy's linkage format.

    Clusters are as similar as the mean |correlation| over the pairs of a unit of one network in one and a unit of the
    other network in the other; the height of a join is 1 less that, and where there is no such pair it is 1. Rows hold the
    two clusters, the height, and how many of the given clusters are joined: ``scipy.cluster.hierarchy.dendrogram`` draws it.

    **Arguments:** ``labels_a``, ``labels_b``: 0..k-1 as of `joint_spectral_clusters`, -1 for units left out.

    Raises InputError where labels do not fit the matrix, or there are fewer than two clusters.

    Source: Li et al., ICLR 2016, section 3.4.

    >>> c = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.0, 0.9]])
    >>> cluster_tree(c, np.arange(3), np.arange(3)).round(3).tolist()
    [[0.0, 1.0, 0.9, 2.0], [2.0, 3.0, 1.0, 3.0]]
    """
    size = tensor(between, "between").abs()
    of_a, of_b = labels_of(labels_a, "labels_a", size.shape[0]), labels_of(labels_b, "labels_b", size.shape[1])
    k = 1 + max(int(of_a.max()), int(of_b.max()))
    if k < 2:
        raise InputError(f"there are {max(k, 0)} clusters; a tree needs at least 2")
    in_a, in_b = (torch.nn.functional.one_hot(v + 1, k + 1)[:, 1:].to(size) for v in (of_a, of_b))
    sums = (in_a.T @ size @ in_b).cpu().numpy()
    pairs = np.outer(in_a.sum(0).cpu(), in_b.sum(0).cpu())
    sums, pairs = sums + sums.T, pairs + pairs.T
    names, counts, joins = list(range(k)), [1] * k, []
    for join in range(k - 1):
        mean = np.divide(sums, pairs, out=np.zeros_like(sums), where=pairs > 0)
        np.fill_diagonal(mean, -1)
        i, j = sorted(np.unravel_index(mean.argmax(), mean.shape))
        joins.append([*sorted((names[i], names[j])), 1 - mean[i, j], counts[i] + counts[j]])
        for table in (sums, pairs):
            table[i] += table[j]
            table[:, i] += table[:, j]
        sums, pairs = (np.delete(np.delete(table, j, 0), j, 1) for table in (sums, pairs))
        names[i], counts[i] = k + join, counts[i] + counts[j]
        del names[j], counts[j]
    return np.array(joins, dtype=float)


def labels_of(labels: Array, name: str, units: int) -> Int[Tensor, "units"]:
    """Return labels as int64. Raises InputError where there is not one whole number from -1 up for each unit.

    >>> labels_of(np.array([0, -1]), "labels_a", 2)
    tensor([ 0, -1])
    """
    found = tensor(labels, name, dims=1)
    if len(found) != units or bool((found != found.round()).any()) or float(found.min()) < -1:
        raise InputError(
            f"{name} has shape {tuple(found.shape)}; expected a whole number from -1 up for each of {units} units"
        )
    return found.long()


def _graph(between: Array, within_a: Array | None, within_b: Array | None) -> Tensor:
    cross = tensor(between, "between").abs()
    d_a, d_b = cross.shape
    graph = torch.zeros(d_a + d_b, d_a + d_b, dtype=cross.dtype, device=cross.device)
    graph[:d_a, d_a:], graph[d_a:, :d_a] = cross, cross.T
    if (within_a is None) != (within_b is None):
        raise InputError("only one of within_a and within_b is given; give both or none")
    if within_a is not None and within_b is not None:
        for name, values, at in (("within_a", within_a, slice(0, d_a)), ("within_b", within_b, slice(d_a, None))):
            own = tensor(values, name).abs()
            if own.shape != graph[at, at].shape:
                raise InputError(f"{name} has shape {tuple(own.shape)}; expected {tuple(graph[at, at].shape)}")
            # A unit's correlation with itself is no edge.
            graph[at, at] = own - own.diagonal().diag()
    return graph
