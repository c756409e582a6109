import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import shortcut_reliance


def draw(scale, n=2000, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    easy, hard = rng.integers(0, 2, (2, n))
    values = np.stack([scale * (2 * easy - 1), 2 * hard - 1], 1) + noise * rng.normal(size=(n, 2))
    return values, easy, hard


def test_it_follows_the_feature_with_more_variance():
    for seed in range(3):
        assert shortcut_reliance(*draw(10, seed=seed)) > 0.9
        assert shortcut_reliance(*draw(0.1, seed=seed)) < 0.1
    assert np.mean([shortcut_reliance(*draw(1, seed=s)) for s in range(10)]) == pytest.approx(0.5, abs=0.05)


def test_equal_scale_without_noise_is_a_tie():
    easy, hard = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 6).T
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    reps = np.stack([easy, hard], 1).astype(float)
    assert shortcut_reliance(reps, easy, hard) == 0.5
    assert shortcut_reliance(reps @ turn * 30 + 4, easy, hard) == 0.5


def test_the_two_features_change_places():
    reps, easy, hard = draw(2)
    assert shortcut_reliance(reps, easy, hard) == pytest.approx(1 - shortcut_reliance(reps, hard, easy))


def test_shift_scale_and_other_labels_change_nothing():
    reps, easy, hard = draw(1.2)
    before = shortcut_reliance(reps, easy, hard)
    assert 0.05 < before < 0.95
    assert shortcut_reliance(torch.tensor(50 * reps - 8), torch.tensor(easy), 5 * hard - 2) == pytest.approx(before)


def test_bad_arguments_are_refused():
    reps, easy, hard = draw(1, n=40)
    with pytest.raises(InputError, match="agree in all rows"):
        shortcut_reliance(reps, easy, easy)
    with pytest.raises(InputError, match="do not hold both labels"):
        shortcut_reliance(reps, np.arange(40) % 2, 1 - np.arange(40) % 2)
    with pytest.raises(InputError, match="hard has 3 different values; it must have two"):
        shortcut_reliance(reps, easy, np.arange(40) % 3)
    with pytest.raises(InputError, match="strength is 0"):
        shortcut_reliance(reps, easy, hard, strength=0)
    with pytest.raises(InputError, match="reps has 40 rows but easy has 3"):
        shortcut_reliance(reps, easy[:3], hard)
    only_conflict = np.where((easy == hard)[:, None], 0.0, reps)
    with pytest.raises(InputError, match="agree are the same"):
        shortcut_reliance(only_conflict, easy, hard)
