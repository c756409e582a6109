import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import dendrogram, is_valid_linkage

from farfield.errors import InputError
from farfield.measure import JointClusters, UnitCorrelation, cluster_tree, joint_spectral_clusters


def blocks(sizes, high=0.8, low=0.05, seed=0):
    """Return |C| between two networks whose units fall into groups of these sizes (in a, in b)."""
    rng = np.random.default_rng(seed)
    of_a, of_b = (np.repeat(np.arange(len(sizes)), [s[i] for s in sizes]) for i in (0, 1))
    c = np.where(of_a[:, None] == of_b, high, low) + rng.uniform(-0.02, 0.02, (len(of_a), len(of_b)))
    return c * rng.choice([-1, 1], c.shape), of_a, of_b


def same_partition(x, y):
    return all((x[i] == x[j]) == (y[i] == y[j]) for i in range(len(x)) for j in range(len(x)))


@pytest.mark.parametrize("k", [3, None])
@pytest.mark.parametrize("row_normalize", [True, False])
def test_groups_of_any_sign_are_found(k, row_normalize):
    c, of_a, of_b = blocks([(4, 5), (6, 4), (5, 5)])
    found = joint_spectral_clusters(c, k=k, row_normalize=row_normalize)
    assert isinstance(found, JointClusters) and found.k == 3
    assert same_partition(np.r_[found.labels_a, found.labels_b], np.r_[of_a, of_b])


def test_eigenvalues_are_those_of_the_normalised_laplacian():
    c, *_ = blocks([(3, 2), (2, 4)])
    w = np.block([[np.zeros((5, 5)), abs(c)], [abs(c).T, np.zeros((6, 6))]])
    d = np.diag(w.sum(1) ** -0.5)
    np.testing.assert_allclose(
        joint_spectral_clusters(c, k=2).eigenvalues, np.linalg.eigvalsh(np.eye(11) - d @ w @ d), atol=1e-12
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4), st.integers(0, 20))
def test_zero_counts_the_unconnected_parts_and_edges_across_only_are_symmetric_about_1(sizes, seed):
    c, *_ = blocks(sizes, low=0, seed=seed)
    c = np.where(abs(c) < 0.1, 0, c)
    found = joint_spectral_clusters(c, k=1).eigenvalues
    assert (found < 1e-9).sum() == len(sizes)
    np.testing.assert_allclose(np.sort(found), np.sort(2 - found), atol=1e-9)
    assert found.min() >= 0 and found.max() <= 2


def test_edges_inside_the_networks_count_where_they_are_given():
    # Across, all is alike; inside each network there are two groups.
    own = np.kron(np.eye(2), np.ones((3, 3)))
    across = np.full((6, 6), 0.01) + np.kron(np.eye(2), np.full((3, 3), 0.001))
    found = joint_spectral_clusters(across, own, own, 2)
    groups = np.repeat([0, 1], 3)
    assert same_partition(np.r_[found.labels_a, found.labels_b][:6], groups)
    # The diagonal is no edge: with it, every degree would be higher.
    w = np.block([[own - np.eye(6), across], [across.T, own - np.eye(6)]])
    d = np.diag(w.sum(1) ** -0.5)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(np.eye(12) - d @ w @ d), atol=1e-12)


def test_units_without_an_edge_are_left_out():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 3)), rng.normal(size=(40, 4))
    a[:, 1] = 0
    found = joint_spectral_clusters(UnitCorrelation(3, 4).update(a, b).result().between, k=2)
    assert found.labels_a[1] == -1 and (np.delete(found.labels_a, 1) >= 0).all() and len(found.eigenvalues) == 6


def test_the_same_seed_gives_the_same_clusters():
    c = np.random.default_rng(0).uniform(-1, 1, (12, 12))
    first, second = (joint_spectral_clusters(torch.from_numpy(c), k=5, seed=3) for _ in range(2))
    assert torch.equal(first.labels_a, second.labels_a) and torch.equal(first.labels_b, second.labels_b)
    assert set(torch.cat([first.labels_a, first.labels_b]).tolist()) == set(range(5))


def test_the_tree_joins_the_most_similar_first():
    c, of_a, of_b = blocks([(2, 2), (2, 2), (2, 2)], low=0.1)
    c = abs(c)
    c[np.ix_(of_a == 0, of_b == 2)] = c[np.ix_(of_a == 2, of_b == 0)] = 0.5
    tree = cluster_tree(c, of_a, of_b)
    assert is_valid_linkage(tree)
    assert tree[0].tolist() == [0, 2, pytest.approx(0.5), 2]
    # The mean over pairs of cluster 1 with the union, each pair once.
    one, others_a, others_b = of_a == 1, of_a != 1, of_b != 1
    mean = (c[np.ix_(one, others_b)].sum() + c[np.ix_(others_a, of_b == 1)].sum()) / (2 * 4 + 4 * 2)
    assert tree[1].tolist() == [1, 3, pytest.approx(1 - mean), 3]
    assert len(dendrogram(tree, no_plot=True)["leaves"]) == 3


def test_a_cluster_in_one_network_only_is_similar_to_none_of_its_own():
    c = np.array([[0.9, 0.4], [0.8, 0.2]])
    # Cluster 2 is empty of b, and cluster 1 of a: they meet in the pair (1, 1) alone.
    tree = cluster_tree(c, np.array([0, 2]), np.array([0, 1]))
    assert tree[0].tolist() == [0, 2, pytest.approx(0.2), 2]
    assert tree[1].tolist() == [1, 3, pytest.approx(1 - (0.4 + 0.2) / 2), 3]


def test_bad_arguments_are_refused():
    c = np.random.default_rng(0).uniform(size=(3, 4))
    with pytest.raises(InputError, match="k is 8; it must be from 1 to the 7 units with an edge"):
        joint_spectral_clusters(c, k=8)
    with pytest.raises(InputError, match="k is 0"):
        joint_spectral_clusters(c, k=0)
    with pytest.raises(InputError, match="only one of within_a and within_b"):
        joint_spectral_clusters(c, np.eye(3), k=2)
    with pytest.raises(InputError, match=r"within_b has shape \(3, 3\); expected \(4, 4\)"):
        joint_spectral_clusters(c, np.eye(3), np.eye(3), 2)
    with pytest.raises(InputError, match="between is 0 everywhere"):
        joint_spectral_clusters(np.zeros((2, 2)), k=1)
    with pytest.raises(InputError, match="labels_a has shape"):
        cluster_tree(c, np.zeros(2), np.zeros(4))
    with pytest.raises(InputError, match="a whole number from -1 up"):
        cluster_tree(c, np.zeros(3), np.full(4, 0.5))
    with pytest.raises(InputError, match="a tree needs at least 2"):
        cluster_tree(c, np.zeros(3), np.zeros(4))
