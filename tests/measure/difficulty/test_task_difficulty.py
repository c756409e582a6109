"""Difficulty measured on data: its five numbers, and what they give on tasks whose numbers are known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from farfield.errors import InputError
from farfield.measure import (
    fewshot_difficulty,
    fewshot_sets,
    fewshot_task_difficulty,
    inductive_bias_complexity,
    knn_dimension,
    min_class_distance,
    task_difficulty,
)
from farfield.tasks.manifold_classes import sphere_classes, torus_classes

ORACLE = Path(__file__).parents[1] / "data" / "generalization-difficulty.npz"


def test_dimension_equals_the_released_code_for_numpy_and_torch():
    with np.load(ORACLE) as oracle:
        found = knn_dimension(oracle["data"])
        assert found == pytest.approx(float(oracle["intrinsic_dim_k5_all"]), rel=1e-9)
        assert knn_dimension(torch.from_numpy(oracle["data"])) == found


def test_dimension_is_the_pooled_formula_and_ignores_scale_shift_and_copies():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 3))
    distances = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, 1:4]
    plain = 1 / np.log(distances[:, 2:] / distances[:, :2]).mean()
    assert knn_dimension(x, k=3) == pytest.approx(plain)
    assert knn_dimension(7 * x + 3, k=3) == pytest.approx(plain)
    assert knn_dimension(np.concatenate([x, x[:9], x[:4]]), k=3) == pytest.approx(plain)


@pytest.mark.parametrize("m", [1, 2, 4])
def test_dimension_of_spheres_and_tori(m):
    for make in (sphere_classes, torus_classes):
        found = knn_dimension(make(3000, m, 0.2, seed=1).columns["x"])
        assert found == pytest.approx(m, rel=0.12)


def test_anchors_are_a_sample_of_the_same_mean():
    x = torch.rand(3000, 2, generator=torch.Generator().manual_seed(0))
    some = [knn_dimension(x, anchors=300, seed=s) for s in range(3)]
    assert len(set(some)) == 3 and some == pytest.approx([knn_dimension(x)] * 3, rel=0.15)


def test_dimension_at_its_limits():
    assert knn_dimension(np.eye(8)) == float("inf")
    with pytest.raises(InputError, match="all rows of x are equal"):
        knn_dimension(np.ones((9, 2)))
    with pytest.raises(InputError, match="k is 5; x has 3 different rows"):
        knn_dimension(np.repeat(np.eye(3), 3, axis=0))
    with pytest.raises(InputError, match="k is 1"):
        knn_dimension(np.eye(8), k=1)
    with pytest.raises(InputError, match="anchors is 0"):
        knn_dimension(np.eye(8), anchors=0)


def test_it_is_the_formula_on_what_it_measured():
    task = sphere_classes(400, 2, 0.3)
    x, y = task.columns["x"], task.columns["y"]
    found = task_difficulty(x, y, 0.01, delta="min")
    assert (found.m, found.classes, found.n) == (2, 2, pytest.approx(400))
    assert found.radius == pytest.approx(1.0, abs=1e-6) and 0.3 <= found.delta < 0.32
    same = inductive_bias_complexity(0.01, 400, 2, found.radius, 2, found.delta, 1)
    assert found.bits == pytest.approx(same.bits)
    given = task_difficulty(x.reshape(400, 3, 1), y + 5, 0.01, m=4.5, delta=0.1)
    assert (given.m, given.delta) == (4.5, 0.1) and given.bits > found.bits


def test_digits_have_the_known_order():
    digits = load_digits()
    x, y = digits.images / 16, digits.target
    pairs = {}
    for a, b in ((0, 1), (4, 9), (3, 8)):
        rows = (y == a) | (y == b)
        pairs[a, b] = task_difficulty(x[rows], y[rows], 0.01, delta="min").bits
    assert list(pairs.values()) == pytest.approx([3.53e6, 5.05e7, 1.71e8], rel=5e-3)
    assert task_difficulty(x, y, 0.01, delta="min").bits == pytest.approx(3.22e10, rel=5e-3)


def test_noise_raises_the_bits_only_where_delta_is_held():
    digits = load_digits()
    x, y = digits.images / 16, digits.target
    noised = x + 0.4 * np.random.default_rng(0).standard_normal(x.shape)
    clean = task_difficulty(x, y, 0.01, delta="min")
    assert task_difficulty(noised, y, 0.01, delta=clean.delta).bits > 1e6 * clean.bits
    assert task_difficulty(noised, y, 0.01, delta="min").bits < clean.bits


def test_data_that_have_no_difficulty_are_refused():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 2)), np.arange(20) % 2
    twice = x.copy()
    twice[1] = twice[0]
    with pytest.raises(InputError, match="two inputs of different class are equal"):
        task_difficulty(twice, y, 0.1, delta="min")
    with pytest.raises(InputError, match="the class 3 only"):
        task_difficulty(x, np.full(20, 3), 0.1)
    with pytest.raises(InputError, match="all inputs are 0"):
        task_difficulty(np.zeros((20, 2)), y, 0.1, m=1, delta=1.0)
    with pytest.raises(InputError, match="dimension of x is infinite"):
        task_difficulty(np.eye(20), y, 0.1, delta="min")
    with pytest.raises(InputError, match="not finite, first in row 4"):
        task_difficulty(np.where(np.arange(20)[:, None] == 4, np.nan, x), y, 0.1)


def test_one_shot_learning_is_measured_by_group():
    rng = np.random.default_rng(0)
    # Each group is a plane of its own in ten dimensions; together they fill more.
    planes = [np.linalg.qr(rng.standard_normal((10, 2)))[0] for _ in range(3)]
    x = np.concatenate([3 * rng.random((300, 2)) @ p.T + 0.05 * rng.standard_normal(10) for p in planes])
    groups = np.repeat([4, 5, 9], 300)
    y = np.tile(np.arange(30), 30) + 30 * np.repeat(range(3), 300)
    found = fewshot_task_difficulty(x, y, groups, 0.01, ways=5)
    m_across = round(knn_dimension(x))
    same = fewshot_difficulty(
        0.01,
        fewshot_sets([30, 30, 30], 5, 10),
        2,
        m_across,
        np.linalg.norm(x, axis=1).max(),
        min_class_distance(x, y, "min"),
        5,
    )
    assert found.m == m_across + 4 * 2 and found.log2_bits == pytest.approx(same.log2_bits)
    with pytest.raises(InputError, match="more than one of the groups"):
        fewshot_task_difficulty(x, y, np.arange(900) % 7, 0.01, ways=5)
    x[1] = x[0]
    with pytest.raises(InputError, match="two inputs of different class are equal"):
        fewshot_task_difficulty(x, y, groups, 0.01, ways=5)
