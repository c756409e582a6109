from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from farfield.errors import InputError
from farfield.measure import geodesic_rdm, geotopological, rank_minmax, rdm
from farfield.tasks import figure_eights

OFFICIAL = np.load(Path(__file__).parent / "data" / "trsa.npz", allow_pickle=False)
SIX = np.arange(1.0, 7.0)
RULES = ("twostep", "p_shortest", "p_nearest", "k_nearest")
AS_OFFICIAL = {"keep_zero_edges": False, "symmetric": False}


def draw(n=9, seed=0):
    return rdm(np.random.default_rng(seed).normal(size=(n, 4)))


def shortest(lengths, edges):
    """Floyd and Warshall's algorithm on squares."""
    d = np.where(edges, lengths, np.inf)
    np.fill_diagonal(d, 0)
    for m in range(len(d)):
        d = np.minimum(d, d[:, m : m + 1] + d[m : m + 1])
    return d[np.triu_indices(len(d), 1)]


def test_the_official_numbers():
    d = OFFICIAL["D"]
    for i, (low, high) in enumerate(OFFICIAL["lu"]):
        window = {"l": low, "u": high}
        found = geodesic_rdm(d, rank=False, **window, **AS_OFFICIAL)
        np.testing.assert_allclose(found, OFFICIAL["geo_twostep_ref"][i], rtol=0, atol=1e-12)
        found = geodesic_rdm(d, **window, **AS_OFFICIAL)
        # Theirs breaks ties by rounding errors: the mean of what it gives to equal lengths is their rank.
        assert np.array_equal(found, rankdata(OFFICIAL["geo_twostep_ref"][i].round(10)))
        theirs = OFFICIAL["geo_twostep_ref_rank"][i]
        assert [theirs[found == rank].mean() for rank in found] == pytest.approx(list(found), abs=1e-12)
        kept = OFFICIAL["geo_twostep_zero_edges_kept"][i]
        np.testing.assert_allclose(geodesic_rdm(d, rank=False, **window), kept, rtol=0, atol=1e-12)
    for rule, settings in (
        ("p_shortest", {"p": 0.2}),
        ("p_shortest", {"p": 0.5}),
        ("p_nearest", {"p": 0.2}),
        ("p_nearest", {"p": 0.5}),
        ("k_nearest", {"k": 1}),
        ("k_nearest", {"k": 3}),
    ):
        found = geodesic_rdm(d, rule, rank=False, **settings, **AS_OFFICIAL)
        expected = OFFICIAL[f"geo_{rule}_{next(iter(settings.values()))}_ref"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_by_hand():
    found = geodesic_rdm(SIX, l=0, u=0.6, rank=False)
    np.testing.assert_allclose(found, [0, 1 / 3, 2 / 3, 1 / 3, 2 / 3, 1])
    found = geodesic_rdm(SIX, l=0, u=0.6, rank=False, **AS_OFFICIAL)
    np.testing.assert_allclose(found, [np.inf, 1 / 3, 2 / 3, np.inf, np.inf, 1])
    assert geodesic_rdm(SIX, l=0, u=0.6, keep_zero_edges=False).tolist() == [5, 1, 2, 5, 5, 3]


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_floyd_and_warshalls_algorithm(seed):
    d = draw(seed=seed)
    g, r = squareform(geotopological(d, 0.1, 0.5)), squareform(rank_minmax(d))
    np.testing.assert_allclose(geodesic_rdm(d, l=0.1, u=0.5, rank=False), shortest(g, g < 1), atol=1e-12)
    found = geodesic_rdm(d, "p_shortest", p=0.3, rank=False)
    np.testing.assert_allclose(found, shortest(r, r <= np.quantile(rank_minmax(d), 0.3)), atol=1e-12)
    near = np.zeros((9, 9), bool)
    for i in range(9):
        order = np.argsort(np.where(np.arange(9) == i, np.inf, r[i]), kind="stable")
        near[i, order[:3]] = True
    expected = shortest(r, near | near.T)
    np.testing.assert_allclose(geodesic_rdm(d, "k_nearest", k=3, rank=False), expected, atol=1e-12)
    np.testing.assert_allclose(geodesic_rdm(d, "p_nearest", p=0.34, rank=False), expected, atol=1e-12)
    one_way = np.triu(near, 1)
    found = geodesic_rdm(d, "k_nearest", k=3, rank=False, symmetric=False)
    np.testing.assert_allclose(found, shortest(r, one_way | one_way.T), atol=1e-12)


@given(st.integers(0, 200), st.sampled_from(RULES))
def test_no_path_is_longer_than_its_edge_or_than_two_others(seed, rule):
    d = draw(seed=seed)
    paths = squareform(geodesic_rdm(d, rule, l=0.1, u=0.6, p=0.4, k=2, rank=False))
    if rule in ("twostep", "p_shortest"):
        r = squareform(geotopological(d, 0.1, 0.6) if rule == "twostep" else rank_minmax(d))
        kept = r < 1 if rule == "twostep" else r <= np.quantile(rank_minmax(d), 0.4)
        assert (paths[kept] <= r[kept] + 1e-12).all()
    assert (paths[:, :, None] <= paths[:, None] + paths[None] + 1e-12).all()


@given(st.integers(0, 100), st.sampled_from(RULES))
def test_neither_the_order_of_stimuli_nor_an_increasing_map_matters(seed, rule):
    d, order = squareform(draw(seed=seed)), np.random.default_rng(seed).permutation(9)
    settings = {"l": 0.1, "u": 0.6, "p": 0.4, "k": 2}
    found = geodesic_rdm(d, rule, **settings)
    assert np.array_equal(geodesic_rdm(d[order][:, order], rule, **settings), found[order][:, order])
    assert np.array_equal(geodesic_rdm(d**3, rule, **settings), found)


def test_ranks_put_pairs_without_a_path_last_and_tied():
    # Two far clusters of three: no edge of the nearest third leads across.
    x = np.concatenate(
        [np.random.default_rng(0).normal(size=(3, 2)), 100 + np.random.default_rng(1).normal(size=(3, 2))]
    )
    lengths = geodesic_rdm(rdm(x), "p_shortest", p=0.35, rank=False)
    assert np.isinf(lengths).sum() == 9
    ranks = geodesic_rdm(rdm(x), "p_shortest", p=0.35)
    assert np.array_equal(ranks, rankdata(lengths)) and (ranks[np.isinf(lengths)] == 11).all()


def test_the_largest_length_stands_for_no_path_over_all_that_is_given():
    d = np.stack([draw(seed=0), draw(seed=1)])
    lengths = geodesic_rdm(d, "k_nearest", rank=False)
    filled = geodesic_rdm(d, "k_nearest", rank=False, unreachable="largest")
    finite = np.isfinite(lengths)
    assert not finite.all() and np.array_equal(filled[finite], lengths[finite])
    assert set(filled[~finite]) == {lengths[finite].max()}
    with pytest.raises(InputError, match="no two stimuli are connected"):
        geodesic_rdm(np.array([1.0]), "p_shortest", rank=False, unreachable="largest", keep_zero_edges=False)


def test_equal_dissimilarities_and_duplicates_have_their_limit():
    assert geodesic_rdm(np.full(6, 2.0), rank=False).tolist() == [0] * 6
    # The duplicate is a shortcut of length 0, so both have the same paths.
    x = np.random.default_rng(0).normal(size=(6, 3))
    x[5] = x[2]
    paths = squareform(geodesic_rdm(rdm(x), l=0, u=0.5, rank=False))
    assert paths[2, 5] == 0 and np.array_equal(paths[2, [0, 1, 3, 4]], paths[5, [0, 1, 3, 4]])


def test_topology_outweighs_geometry_for_the_four_curves():
    clouds = {name: rdm(points) for name, points in figure_eights(50).items()}

    def ratio(way):
        flat, twist, loop, loop_twist = (way(d) for d in clouds.values())
        geometry = np.linalg.norm(flat - twist) + np.linalg.norm(loop - loop_twist)
        return geometry / (np.linalg.norm(flat - loop) + np.linalg.norm(twist - loop_twist))

    window = {"l": 0, "u": 0.075}
    assert ratio(np.asarray) == pytest.approx(4.688, abs=1e-3)
    # The curves are symmetric, so that equal distances differ in their last digit, and ranks with them: two digits are sure.
    assert ratio(rank_minmax) == pytest.approx(5.346, abs=0.01)
    assert ratio(lambda d: geotopological(d, **window)) == pytest.approx(1.773, abs=0.01)
    assert ratio(lambda d: geodesic_rdm(d, **window, **AS_OFFICIAL)) == pytest.approx(0.672, abs=0.01)
    assert ratio(lambda d: geodesic_rdm(d, **window)) == pytest.approx(0.688, abs=0.01)


def test_every_form_comes_back_as_it_came():
    d = np.stack([draw(seed=seed) for seed in range(3)])
    batch = geodesic_rdm(d)
    assert np.array_equal(batch[1], geodesic_rdm(d[1]))
    assert np.array_equal(geodesic_rdm(squareform(d[1])), squareform(batch[1]))
    assert torch.equal(geodesic_rdm(torch.from_numpy(d)), torch.from_numpy(batch))


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="unknown rule 'two-step'; nearest: twostep"):
        geodesic_rdm(SIX, "two-step")
    with pytest.raises(InputError, match="expected 0 <= l <= u <= 1"):
        geodesic_rdm(SIX, l=0.5, u=0.1)
    with pytest.raises(InputError, match=r"p is 1\.5; it must be a share"):
        geodesic_rdm(SIX, "p_shortest", p=1.5)
    with pytest.raises(InputError, match=r"p is 0\.1: that is no neighbour at all of 4 stimuli"):
        geodesic_rdm(SIX, "p_nearest", p=0.1)
    for k in (0, 4):
        with pytest.raises(InputError, match=f"k is {k}; each of 4 stimuli has from 1 to 3 neighbours"):
            geodesic_rdm(SIX, "k_nearest", k=k)
    with pytest.raises(InputError, match="unknown value of unreachable 'max'"):
        geodesic_rdm(SIX, unreachable="max")
    with pytest.raises(InputError, match="rdm has 5 dissimilarities in a row"):
        geodesic_rdm(SIX[:5])
