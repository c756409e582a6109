"""Probes: classes that can be told apart, that cannot, and explicit votes."""

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import knn_accuracy, linear_probe


def blobs(n=200, distance=6.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    return rng.normal(size=(n, 5)) + distance * np.eye(5)[y], y


def test_apart_is_near_one_and_noise_is_near_chance():
    x, y = blobs()
    for measure in (linear_probe, knn_accuracy):
        assert measure(x, y).value > 0.97
        found = measure(np.random.default_rng(1).normal(size=(400, 5)), np.arange(400) % 4)
        assert found.low < 0.25 < found.high


def test_the_linear_probe_cannot_read_a_ring_and_neighbours_can():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 400)
    y = np.arange(400) % 2
    # Around the origin cosine sees no radius, so the rings lie on a plane at height 1.
    x = np.stack([(0.2 + y) * np.cos(angle), (0.2 + y) * np.sin(angle), np.ones(400)], 1)
    assert linear_probe(x, y).value < 0.65
    assert knn_accuracy(x, y).value == 1


def test_neighbours_vote_as_in_an_explicit_loop():
    rng = np.random.default_rng(3)
    x, y, k = rng.normal(size=(60, 3)), rng.integers(0, 3, 60), 5
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    right = []
    for i in range(60):
        order = [j for j in np.argsort(-(units @ units[i])) if j != i][:k]
        votes = [y[j] for j in order]
        most = max(votes.count(c) for c in votes)
        # Of classes with equal votes the one whose neighbours are nearer in rank.
        ranks = {c: sum(k - r for r, v in enumerate(votes) if v == c) for c in set(votes) if votes.count(c) == most}
        right.append(max(ranks, key=ranks.get) == y[i])
    found = knn_accuracy(x, y, k=k)
    assert found.right.tolist() == right and found.value == np.mean(right)


def test_intervals_are_wilsons():
    x, y = blobs(distance=1.5)
    for found in (linear_probe(x, y), knn_accuracy(torch.from_numpy(x), torch.from_numpy(y))):
        p, n, z = found.value, 200, 1.959964
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        assert (found.low, found.high, found.n) == (pytest.approx(centre - half), pytest.approx(centre + half), n)


def test_the_seed_draws_the_folds():
    x, y = blobs(distance=1.0)
    assert (linear_probe(x, y, seed=1).right == linear_probe(x, y, seed=1).right).all()
    assert (linear_probe(x, y, seed=1).right != linear_probe(x, y, seed=2).right).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": np.zeros(200)}, "all labels of y are 0"),
        ({"y": np.zeros(3)}, "x has 200 rows but y has 3"),
        ({"y": np.linspace(0, 1, 200)}, "y holds fractions"),
    ],
)
def test_bad_labels(arguments, message):
    x, _ = blobs()
    for measure in (linear_probe, knn_accuracy):
        with pytest.raises(InputError, match=message):
            measure(x, **arguments)


def test_bad_numbers_of_folds_and_neighbours():
    x, y = blobs()
    with pytest.raises(InputError, match="folds is 1"):
        linear_probe(x, y, folds=1)
    with pytest.raises(InputError, match="the class 3 of y has 1 rows; 5 folds"):
        linear_probe(x, np.where(np.arange(200) == 7, 3, y % 3))
    with pytest.raises(InputError, match="k is 200; x has 200 rows"):
        knn_accuracy(x, y, k=200)
