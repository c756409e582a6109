"""Probes whose penalty fits the representation, and gains over one network."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression

from farfield.errors import InputError
from farfield.measure import RepresentationGain, TunedProbe, representation_gain, transfer_probe, tuned_probe


def blobs(n, d=6, noise=1.0, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return noise * rng.normal(size=(n, d)) + 2 * np.eye(classes, d)[y], y


def test_with_one_penalty_it_is_logistic_regression_on_standardised_columns():
    (x, y), (x_test, _) = blobs(90), blobs(60, seed=1)
    probe = tuned_probe(x, y, [0.05])
    mean, spread = x.mean(0), x.std(0)
    expected = LogisticRegression(C=0.05, tol=1e-3, max_iter=1000).fit((x - mean) / spread, y)
    assert probe.c == 0.05 and isinstance(probe, TunedProbe)
    assert np.allclose(probe.probabilities(x_test), expected.predict_proba((x_test - mean) / spread), atol=1e-6)


def test_scale_offset_and_order_of_the_columns_play_no_role():
    (x, y), (x_test, y_test) = blobs(90), blobs(300, seed=1)
    order, scale = np.array([3, 1, 5, 0, 4, 2]), np.array([1, 100, 0.01, 1, 7, 2])
    plain = transfer_probe(x, y, x_test, y_test)
    assert transfer_probe((x * scale + 5)[:, order], y, (x_test * scale + 5)[:, order], y_test) == pytest.approx(plain, abs=0.01)  # fmt: skip
    assert plain > 0.8


def test_copies_of_the_features_are_a_weaker_penalty():
    # |w|^2 over n copies is least where they share it evenly: the penalty falls to 1 / n.
    (x, y), (x_test, _) = blobs(90), blobs(60, seed=1)
    five = tuned_probe(np.tile(x, 5), y, [0.01]).probabilities(np.tile(x_test, 5))
    assert np.allclose(five, tuned_probe(x, y, [0.05]).probabilities(x_test), atol=2e-3)


def test_copies_in_ridge_regression_are_exactly_a_weaker_penalty():
    x, _ = blobs(30)
    target, lam, n = x @ np.arange(6.0) + np.sin(np.arange(30)), 3.0, 4

    def fitted(z, penalty):
        return z @ np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ target)

    assert np.allclose(fitted(np.tile(x, n), lam), fitted(x, lam / n))


def test_more_features_never_fit_the_training_rows_worse_without_a_penalty():
    x, y = blobs(90, noise=3.0)

    def loss(z):
        p = tuned_probe(z, y, [1e4]).probabilities(z)
        return -np.log(p[np.arange(len(y)), y]).mean()

    assert loss(x) <= min(loss(x[:, :3]), loss(x[:, 3:])) + 1e-3


def test_a_wide_noisy_representation_gets_a_stronger_penalty():
    (x, y), (x_test, y_test) = blobs(45, d=200, noise=2.0), blobs(600, d=200, noise=2.0, seed=1)
    by_c = {c: transfer_probe(x, y, x_test, y_test, [c]) for c in (1e-4, 1e-2, 10.0)}
    tuned = tuned_probe(x, y, [1e-4, 1e-2, 10.0])
    assert tuned.c < 10
    assert transfer_probe(x, y, x_test, y_test, [1e-4, 1e-2, 10.0]) == by_c[tuned.c]


def test_constant_columns_count_for_nothing_and_torch_does_as_numpy():
    (x, y), (x_test, y_test) = blobs(90), blobs(60, seed=1)
    plain = transfer_probe(x, y, x_test, y_test)
    padded, moved = np.column_stack([x, np.full(90, 0.1)]), np.column_stack([x_test, np.full(60, 77.0)])
    assert transfer_probe(padded, y, moved, y_test) == plain
    assert transfer_probe(*(torch.from_numpy(v) for v in (x, y, x_test, y_test))) == plain


def test_a_single_row_of_a_class_takes_the_strongest_penalty():
    x, y = blobs(9)
    assert tuned_probe(x[:7], y[:7]).c >= 1e-3
    assert tuned_probe(np.concatenate([x, [[9.0] * 6]]), np.append(y, 7)).c == 1e-3


def test_gains_are_paired_intervals():
    rng = np.random.default_rng(0)
    base = rng.normal(size=8)
    single, cat, wide = base, base + 0.5 + 0.1 * rng.normal(size=8), base + 0.2 + 0.1 * rng.normal(size=8)
    gain = representation_gain(single, cat, wide)
    assert isinstance(gain, RepresentationGain)
    for found, a, b in ((gain.over_single, cat, single), (gain.over_wide, cat, wide), (gain.of_size, wide, single)):
        interval = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert found == pytest.approx((np.mean(a - b), interval.low, interval.high))
    assert gain.over_single[0] == pytest.approx(gain.over_wide[0] + gain.of_size[0])
    still = representation_gain(np.array([0.5, 0.5]), np.array([0.75, 0.75]), np.array([0.5, 0.5]))
    assert still.over_single == (0.25, 0.25, 0.25)


x, y = blobs(30)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: transfer_probe(x, y, x[:, :4], y), "z_train has 6 columns but z_test has 4"),
        (lambda: transfer_probe(x, y, x, y + 1), "y_test holds the class 3"),
        (lambda: transfer_probe(x, y[:-1], x, y), "z_train has 30 rows but y_train has 29"),
        (lambda: tuned_probe(x, y * 0), "all labels of y are 0"),
        (lambda: tuned_probe(x, y + 0.5), "y holds fractions"),
        (lambda: tuned_probe(x, y, []), r"c_grid is \[\]"),
        (lambda: tuned_probe(x, y, [0.0, 1.0]), r"c_grid is \[0.0, 1.0\]"),
        (lambda: tuned_probe(x, y, folds=1), "folds is 1"),
        (lambda: tuned_probe(x, y).probabilities(x[:, :2]), "z has 2 columns; the probe was trained on 6"),
        (lambda: representation_gain(y[:1], y[:1], y[:1]), "n at least 2"),
        (lambda: representation_gain(y, y, y[:5]), "single has 30 rows but wide has 5"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
