"""Class Gaussians against closed forms, the tail step by hand, and draws against their moments."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.reuse import ClassGaussians
from farfield.tasks import long_tail_counts, noise_matrix


def rows(n=60, d=3, classes=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    return torch.randn(n, d, generator=g, dtype=torch.float64) @ torch.randn(d, d, generator=g).double() + 5 * y[
        :, None
    ], y


def at(points, counts):
    """Gaussians whose means and counts are given: each class has its rows around its mean, so that their mean is exact."""
    z, y = [], []
    for c, (point, n) in enumerate(zip(points, counts)):
        offsets = torch.linspace(-1, 1, n)[:, None] * torch.tensor([1.0, 0.5])
        z.append(torch.tensor(point) + offsets)
        y += [c] * n
    return ClassGaussians(outlier=None).fit(torch.cat(z), torch.tensor(y))


def test_without_outliers_and_calibration_they_are_the_classes_means_and_covariances():
    z, y = rows()
    fitted = ClassGaussians(outlier=None).fit(z, y)
    same = fitted.calibrate_tail(gamma_mean=0, gamma_cov=0, alpha=0)
    assert fitted.kept_.all()
    for c in range(3):
        for g in (fitted, same):
            torch.testing.assert_close(g.means_[c], z[y == c].mean(0))
            torch.testing.assert_close(g.covs_[c], z[y == c].T.cov())


def test_the_sheets_example():
    # A rare class at (0, 0), large ones of 100 at distance 1 and of 50 at distance 2: weights as 100 / 1 to 50 / 4.
    g = at([(0.0, 0.0), (1.0, 0.0), (0.0, 2.0)], [4, 100, 50])
    two = g.calibrate_tail([1, 2], q=2, gamma_mean=0.5, gamma_cov=0.5)
    torch.testing.assert_close(two.means_[0], torch.tensor([0.44444, 0.11111]).double(), atol=1e-5, rtol=0)
    expected = 0.5 * (g.covs_[1] * 8 / 9 + g.covs_[2] / 9) + 0.5 * g.covs_[0]
    torch.testing.assert_close(two.covs_[0], expected)
    one = g.calibrate_tail(torch.tensor([False, True, True]), q=1, gamma_mean=0.5)
    torch.testing.assert_close(one.means_[0], torch.tensor([0.5, 0.0]).double())
    for c in (1, 2):  # large classes stay
        assert torch.equal(two.means_[c], g.means_[c]) and torch.equal(two.covs_[c], g.covs_[c])
    torch.testing.assert_close(g.means_[0], torch.zeros(2).double())  # what was fitted stays too


@pytest.mark.parametrize(
    "weights, shares",
    [("inverse_distance", (0.8, 0.2)), ("count", (2 / 3, 1 / 3)), ("uniform", (0.5, 0.5))],
)
def test_other_weights(weights, shares):
    g = at([(0.0, 0.0), (1.0, 0.0), (0.0, 2.0)], [4, 100, 50])
    moved = g.calibrate_tail([1, 2], gamma_mean=1.0, weights=weights)
    torch.testing.assert_close(moved.means_[0], torch.tensor([shares[0], 2 * shares[1]]).double())


def test_a_large_class_in_the_same_place_takes_all_the_weight():
    g = at([(0.0, 0.0), (0.0, 0.0), (0.0, 2.0)], [4, 100, 50])
    moved = g.calibrate_tail([1, 2], q=2, gamma_mean=1.0, gamma_cov=1.0)
    assert torch.isfinite(moved.means_).all()
    torch.testing.assert_close(moved.covs_[0], g.covs_[1])


def test_the_larger_half_is_large_unless_said_otherwise():
    g = at([(0.0, 0.0), (1.0, 0.0), (0.0, 2.0), (3.0, 3.0)], [4, 100, 50, 20])
    assert torch.equal(g.calibrate_tail().means_, g.calibrate_tail([1, 2]).means_)


def test_spread():
    g = at([(0.0, 0.0), (1.0, 0.0)], [4, 9])
    for spread, more in (("identity", torch.eye(2)), ("ones", torch.ones(2, 2))):
        wider = g.calibrate_tail([1], gamma_cov=0, alpha=0.3, spread=spread)
        torch.testing.assert_close(wider.covs_[0] - g.covs_[0], 0.3 * more.double())


def test_shrinkage_keeps_the_total_variance_and_gives_full_rank():
    z, y = rows(n=9, d=6)
    plain, shrunk = (ClassGaussians(outlier=None, shrinkage=s).fit(z, y) for s in (0.0, 0.2))
    total = lambda g: g.covs_.diagonal(dim1=1, dim2=2).sum(1)  # noqa: E731
    torch.testing.assert_close(total(shrunk), total(plain))
    assert torch.linalg.matrix_rank(plain.covs_[0]) == 2 and torch.linalg.matrix_rank(shrunk.covs_[0]) == 6


def test_draws_have_the_moments_of_their_class_within_three_standard_errors():
    z, y = rows(n=90)
    g = ClassGaussians(outlier=None).fit(z, y)
    drawn, labels = g.sample([200_000, 0, 100], seed=4)
    assert torch.bincount(labels).tolist() == [200_000, 0, 100] and drawn.dtype == torch.float64
    first = drawn[labels == 0]
    assert ((first.mean(0) - g.means_[0]).abs() <= 3 * (g.covs_[0].diagonal() / 200_000).sqrt()).all()
    torch.testing.assert_close(first.T.cov(), g.covs_[0], rtol=0.03, atol=0.02)
    again, _ = g.sample([200_000, 0, 100], seed=4)
    other, _ = g.sample([200_000, 0, 100], seed=5)
    assert torch.equal(drawn, again) and not torch.equal(drawn, other)


def test_draws_of_a_class_without_full_rank_lie_in_its_plane():
    z = torch.tensor([[0.0, 0.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    drawn, _ = ClassGaussians(outlier=None).fit(z, torch.zeros(3, dtype=torch.long)).sample([500])
    assert drawn.dtype == torch.float32
    assert (drawn[:, 0] - drawn[:, 1]).abs().max() < 1e-3 and (drawn[:, 2] - 1).abs().max() < 1e-3
    assert drawn[:, 0].std() == pytest.approx(1.0, rel=0.15)


def test_one_far_row_is_dropped_and_no_other():
    g = torch.Generator().manual_seed(0)
    z = torch.cat([torch.randn(50, 8, generator=g), torch.full((1, 8), 50.0), 30 + torch.randn(40, 8, generator=g)])
    y = torch.tensor([0] * 51 + [1] * 40)
    for outlier in ("lof", "mahalanobis"):
        fitted = ClassGaussians(outlier=outlier, contamination=0.02 if outlier == "mahalanobis" else "auto").fit(z, y)
        assert (~fitted.kept_[y == 0]).nonzero().flatten().tolist() == [50]
        torch.testing.assert_close(fitted.means_[0], z[:50].double().mean(0))
        assert fitted.counts_.tolist() == [51, 40]  # by label, outliers too


def test_the_mean_of_a_polluted_class_is_a_mean_of_means():
    # mu~_j = sum_k pi(k | j) mu_k, with pi from the class sizes and the noise matrix.
    sizes = long_tail_counts(4, 8, 8000)
    means = torch.eye(4) * 10
    right = torch.arange(4).repeat_interleave(sizes)
    matrix = noise_matrix(0.3, "lt-asymmetric", counts=sizes)
    random = np.random.default_rng(0)
    given = torch.tensor([random.choice(4, p=matrix[k].numpy()) for k in right.tolist()])
    fitted = ClassGaussians(outlier=None).fit(means[right], given)
    joint = sizes[:, None] * matrix
    expected = (joint / joint.sum(0)).T @ means.double()
    torch.testing.assert_close(fitted.means_, expected, atol=0.15, rtol=0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 100), gamma=st.floats(0, 1), alpha=st.floats(0, 2))
def test_calibrated_covariances_stay_positive_and_the_order_of_rows_does_not_count(seed, gamma, alpha):
    z, y = rows(n=40, seed=seed)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    a, b = (
        ClassGaussians(n_neighbors=5).fit(z[i], y[i]).calibrate_tail(gamma_mean=gamma, gamma_cov=gamma, alpha=alpha)
        for i in (torch.arange(40), order)
    )
    torch.testing.assert_close(a.means_, b.means_)
    assert torch.linalg.eigvalsh(a.covs_).min() > -1e-9


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: ClassGaussians(outlier="lofs"), "unknown way to find outliers 'lofs'; nearest: lof"),
        (lambda: ClassGaussians(shrinkage=2), "shrinkage is 2"),
        (lambda: ClassGaussians(outlier=None).fit(torch.eye(3), torch.tensor([0, 0, 1])), "class 1 of y has 1 rows"),
        (lambda: ClassGaussians().fit(torch.eye(2), torch.tensor([0, 0]), classes=2), "class 1 of y has 0 rows"),
        (lambda: ClassGaussians().fit(torch.eye(2), torch.tensor([0, 3]), classes=2), "y goes from 0 to 3"),
        (lambda: ClassGaussians().fit(torch.tensor([[np.nan], [0.0]]), torch.tensor([0, 0])), "not finite"),
        (lambda: ClassGaussians().fit(torch.eye(2), torch.zeros(3)), r"expected \(n, d\)"),
        (lambda: ClassGaussians().sample([1]), "not fitted"),
        (lambda: at([(0.0, 0.0)], [4]).sample([1, 2]), r"counts has shape \(2,\)"),
        (lambda: at([(0.0, 0.0)], [4]).sample([-1]), "at least 0"),
        (lambda: at([(0.0, 0.0), (1.0, 1.0)], [4, 5]).calibrate_tail([2]), "head is"),
        (lambda: at([(0.0, 0.0), (1.0, 1.0)], [4, 5]).calibrate_tail(gamma_mean=1.5), "gamma_mean 1.5"),
        (lambda: at([(0.0, 0.0), (1.0, 1.0)], [4, 5]).calibrate_tail(weights="counts"), "nearest: count"),
        (lambda: at([(0.0, 0.0), (1.0, 1.0)], [4, 5]).calibrate_tail(spread="one"), "nearest: ones"),
        (
            lambda: ClassGaussians(outlier="mahalanobis").fit(torch.eye(4), torch.zeros(4, dtype=torch.long)),
            "class 0 of y: 4 rows of 4 dimensions came; 'mahalanobis' needs more than 8",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_a_covariance_that_is_none_is_refused():
    g = at([(0.0, 0.0)], [4])
    g.covs_ = torch.tensor([[[1.0, 2.0], [2.0, 1.0]]]).double()
    with pytest.raises(InputError, match="class 0 has the eigenvalue -1"):
        g.sample([1])
