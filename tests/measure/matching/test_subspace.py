import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import ClusterSimilarity, UnitCorrelation, cca, cluster_subspace_similarity


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def similarity(a, b, labels_a, labels_b):
    found = UnitCorrelation(a.shape[1], b.shape[1]).update(a, b).result()
    return cluster_subspace_similarity(found, np.asarray(labels_a), np.asarray(labels_b))


def test_orthogonally_mixed_pairs_share_their_planes():
    a = draw(500, 4)
    turn = np.array([[1, -1], [1, 1]]) / 2**0.5
    b = a @ np.kron(np.eye(2), turn)
    found = similarity(a, b, [0, 0, 1, 1], [0, 0, 1, 1])
    assert [f.label for f in found] == [0, 1] and [(f.size_a, f.size_b) for f in found] == [(2, 2), (2, 2)]
    for f in found:
        assert f.canonical == pytest.approx(1, abs=1e-9)
        assert f.one_to_one == pytest.approx(0.5, abs=0.1)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 50))
def test_canonical_is_that_of_the_data_themselves(p, q, seed):
    a, b = draw(60, p, seed), draw(60, q, seed + 99)
    b = b + a[:, :1]
    (found,) = similarity(a, b, [0] * p, [0] * q)
    assert found.canonical == pytest.approx(cca(a, b), abs=1e-9)
    assert 0 <= found.one_to_one <= 1 and found.one_to_one <= found.one_to_one_abs + 1e-12


def test_one_unit_each_has_both_the_squared_correlation():
    a, b = draw(30, 1), draw(30, 1, 1)
    (found,) = similarity(a, b, [0], [0])
    squared = np.corrcoef(a[:, 0], b[:, 0])[0, 1] ** 2
    assert found == ClusterSimilarity(0, 1, 1, found.canonical, found.one_to_one, found.one_to_one_abs)
    assert found.canonical == pytest.approx(squared) and found.one_to_one == pytest.approx(squared)
    assert found.one_to_one_abs == pytest.approx(squared**0.5)


def test_repeated_units_make_no_new_direction():
    a = draw(50, 1)
    (found,) = similarity(np.hstack([a, 2 * a]), np.hstack([a, -a]), [0, 0], [0, 0])
    assert found.canonical == pytest.approx(1) and found.one_to_one == pytest.approx(1)


def test_clusters_of_one_network_and_units_left_out_do_not_appear():
    a, b = draw(50, 3), draw(50, 3, 1)
    found = similarity(a, b, [0, 2, -1], [1, 2, 2])
    assert [(f.label, f.size_a, f.size_b) for f in found] == [(2, 1, 2)]


def test_dead_units_share_nothing():
    (found,) = similarity(np.ones((20, 2)), draw(20, 2), [0, 0], [0, 0])
    assert found.canonical == 0 and found.one_to_one == 0


def test_bad_arguments_are_refused():
    a = draw(10, 2)
    partial = UnitCorrelation(2, 2, within=False).update(a, a).result()
    with pytest.raises(InputError, match="within=True"):
        cluster_subspace_similarity(partial, np.zeros(2), np.zeros(2))
    with pytest.raises(InputError, match="labels_b has shape"):
        similarity(a, a, [0, 0], [0])
