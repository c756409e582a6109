"""Outliers: scikit-learn's own answer, copies, and limits."""

import pytest
import torch

from farfield.errors import InputError
from farfield.reuse import outliers


def cloud(n=60, d=4, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_it_is_scikit_learns_local_outlier_factor():
    from sklearn.neighbors import LocalOutlierFactor

    z = torch.cat([cloud(), 6 + 3 * cloud(8, seed=1)])
    expected = LocalOutlierFactor(20).fit_predict(z.double().numpy()) == -1
    assert 0 < expected.sum() < 20 and outliers(z).tolist() == expected.tolist()


def test_a_dense_cluster_of_its_own_is_no_outlier():
    # 40 % wrong labels that lie together are as dense as the right ones.
    z = torch.cat([cloud(60, 8), 12 + cloud(40, 8, seed=1)])
    assert outliers(z).sum() <= 3


@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("kind", ["lof", "mahalanobis"])
def test_a_share_is_taken_and_it_holds_the_farthest(kind, share):
    z = cloud(100)
    z[17] = 30.0
    found = outliers(z, kind, contamination=share)
    assert found[17] and found.sum() == pytest.approx(100 * share, abs=1)


def test_robust_distances_find_a_tenth_that_moves_the_plain_mean():
    z = torch.cat([cloud(90, 2), 8 + 0.1 * cloud(10, 2, seed=1)])
    found = outliers(z, "mahalanobis")
    assert found[90:].all() and found[:90].sum() < 12


def test_copies_single_rows_and_equal_rows():
    assert not outliers(torch.ones(30, 2)).any()
    assert not outliers(torch.ones(1, 2)).any()
    # Copies are judged alike and change nothing for the others.
    z = torch.cat([cloud(100), torch.full((1, 4), 9.0), torch.zeros(1, 4)])
    once, often = outliers(z), outliers(torch.cat([z, z[-2:].repeat(30, 1)]))
    assert torch.equal(often[: len(z)], once) and once[-2] and not once[-1]
    assert torch.equal(often[len(z) :], once[-2:].repeat(30))
    assert outliers(cloud(3, 2)).shape == (3,)


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"kind": "lofty"}, "unknown way to find outliers"),
        ({"n_neighbors": 0}, "n_neighbors is 0"),
        ({"contamination": 0.7}, "contamination is 0.7"),
        ({"contamination": 0.0}, "contamination is 0.0"),
        ({"kind": "mahalanobis"}, "needs more than 8"),
    ],
)
def test_what_cannot_be_is_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        outliers(cloud(8), **settings)
