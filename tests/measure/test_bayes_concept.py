"""Bayes' rule over sets: closed forms of the size principle, rules and averages."""

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import bayes_concept, conjunctions


def nested(*sizes, n=100):
    return np.arange(n)[:, None] < np.array(sizes)


def test_the_size_principle():
    world = nested(10, 100)
    for m in (1, 2, 3):
        odds = 10.0**m
        scores = bayes_concept(world, list(range(m)))
        assert scores[9] == pytest.approx(1) and scores[10] == pytest.approx(1 / (1 + odds))
    weak = bayes_concept(world, [0, 1, 2], sampling="weak")
    assert weak[9] == pytest.approx(1) and weak[50] == pytest.approx(0.5)


def test_the_prior_weighs():
    world = nested(10, 100)
    scores = bayes_concept(world, [0, 1, 2], np.array([1.0, 1000.0]))
    assert scores[50] == pytest.approx(0.5)
    assert scores == pytest.approx(bayes_concept(world, [0, 1, 2], np.array([0.002, 2.0])))
    assert bayes_concept(world, [0], np.array([1.0, 0.0]))[50] == 0


def test_map_is_the_membership_of_the_best_set():
    world = nested(10, 30, 100)
    assert bayes_concept(world, [0, 20], mode="map").tolist() == [1.0] * 30 + [0.0] * 70
    assert bayes_concept(world, [0, 2], mode="map").tolist() == [1.0] * 10 + [0.0] * 90
    # One consistent hypothesis: rule and average are the same 0 and 1.
    for mode in ("map", "average"):
        assert set(bayes_concept(world, [50], mode=mode)) == {1.0}
        assert bayes_concept(world[:, :2], [20], mode=mode).tolist() == [1.0] * 30 + [0.0] * 70
    assert bayes_concept(world, [0], np.array([1.0, 0.0, 1e6]), mode="map", sampling="weak")[99] == 1


def test_against_a_loop_and_on_tensors():
    rng = np.random.default_rng(0)
    world = rng.random((40, 12)) < 0.6
    world[:, 0] = True
    prior = rng.random(12)
    examples = [3, 8]
    weights = np.array([
        p * float(h.sum()) ** -2 if h[examples].all() else 0 for p, h in zip(prior, world.T)
    ])  # fmt: skip
    expected = world @ weights / weights.sum()
    assert bayes_concept(world, examples, prior) == pytest.approx(expected)
    found = bayes_concept(torch.from_numpy(world), examples, torch.from_numpy(prior))
    assert isinstance(found, torch.Tensor) and found.numpy() == pytest.approx(expected)


def test_conjunctions_are_products():
    rng = np.random.default_rng(1)
    on = rng.random((30, 4)) < 0.5
    sets, prior, members = conjunctions(on, 3, prior=np.array([0.4, 0.3, 0.2, 0.1]))
    assert len(members) == 4 + 6 + 4 == sets.shape[1] and prior.sum() == pytest.approx(1)
    for column, m in zip(sets.T, members):
        assert column.tolist() == on[:, list(m)].all(1).tolist()
    at = {m: p for m, p in zip(members, prior)}
    assert at[0, 1, 2] / at[(3,)] == pytest.approx(0.4 * 0.3 * 0.2 / 0.1)
    uniform = conjunctions(on, 2)[1]
    assert uniform[:4] == pytest.approx(4 * uniform[4])


def test_bad_input():
    world = nested(10, 100)
    with pytest.raises(InputError, match="examples lie together in no hypothesis"):
        bayes_concept(world[:, :1], [50])
    with pytest.raises(InputError, match="examples has values from 100 to 100; expected whole numbers from 0 to 99"):
        bayes_concept(world, [100])
    with pytest.raises(InputError, match="hypotheses has values from 0 to 2"):
        bayes_concept(np.array([[0.0, 2.0]]), [0])
    with pytest.raises(InputError, match="prior has 3 numbers"):
        bayes_concept(world, [0], np.ones(3))
    with pytest.raises(InputError, match="unknown sampling 'week'; nearest: weak"):
        bayes_concept(world, [0], sampling="week")
    with pytest.raises(InputError, match="unknown mode"):
        bayes_concept(world, [0], mode="mean")
    with pytest.raises(InputError, match="size is 3; it must be from 1 to the number of attributes, 2"):
        conjunctions(world, 3)
    with pytest.raises(InputError, match="more than a million"):
        conjunctions(np.ones((2, 200), dtype=bool), 4)
