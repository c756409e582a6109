"""The smallest distance of two classes, exactly and extrapolated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from farfield.errors import InputError
from farfield.measure import min_class_distance
from farfield.measure.difficulty import class_distance

ORACLE = Path(__file__).parents[1] / "data" / "generalization-difficulty.npz"


def brute(x, y, ignore_below=0.0):
    distances = cdist(x, x)
    return distances[(y[:, None] != y[None, :]) & (distances >= ignore_below)].min()


def test_equals_the_released_code():
    with np.load(ORACLE) as oracle:
        x, y = oracle["data"], oracle["labels"]
        assert min_class_distance(x, y, "min") == pytest.approx(float(oracle["min_interclass_distance"]), rel=1e-12)
        estimated = min_class_distance(x, y, pairs=20_000, largest=200)
        assert estimated == pytest.approx(float(oracle["evt_delta_seeded"]), rel=0.15)
        assert estimated <= float(oracle["min_interclass_distance"])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 5), st.sampled_from([1e-6, 1.0, 1e5]))
def test_min_is_the_minimum_over_all_pairs(seed, n, d, offset):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)) + offset, np.r_[0, 1, rng.integers(0, 3, n - 2)]
    assert min_class_distance(x, y, "min") == pytest.approx(brute(x, y), rel=1e-9)


def test_blocks_and_close_points_far_from_the_origin_lose_no_digit(monkeypatch):
    monkeypatch.setattr(class_distance, "BLOCK", 500)
    rng = np.random.default_rng(0)
    x, y = 1e4 + rng.standard_normal((300, 3)), rng.integers(0, 4, 300)
    x[17], y[17], y[205] = x[205] + [0, 1e-5, 0], 0, 1
    assert min_class_distance(x, y, "min") == pytest.approx(np.linalg.norm(x[17] - x[205]), rel=1e-12)
    assert min_class_distance(x, y, "min", ignore_below=0.01) == pytest.approx(brute(x, y, 0.01), rel=1e-12)


@pytest.mark.parametrize("limit", [0.0, 1.0, 1.5, 2.0])
def test_distances_below_a_limit_are_left_out_and_one_at_it_is_kept(limit):
    x, y = np.array([[0.0], [1.0], [2.5], [4.0]]), np.array([0, 1, 0, 1])
    assert min_class_distance(x, y, "min", ignore_below=limit) == brute(x, y, limit)


def test_equal_inputs_of_two_classes_are_at_distance_zero():
    x, y = np.ones((4, 2)), np.array([0, 0, 1, 1])
    assert min_class_distance(x, y, "min") == 0
    assert min_class_distance(x, y, "evt", pairs=50, largest=5) == 0


def test_the_extrapolation_finds_an_end_that_few_pairs_come_near():
    # Two classes on parallel squares 1 apart: 20,000 of a hundred million pairs come within 1 %, all pairs nearer.
    rng = np.random.default_rng(0)
    n = 10_000
    x = np.concatenate([rng.random((n, 2)), rng.integers(0, 2, (n, 1))], 1)
    found = [min_class_distance(x, x[:, 2].astype(int), pairs=20_000, largest=200, seed=s) for s in range(5)]
    assert np.median(found) == pytest.approx(1.0, rel=0.01)


def test_pairs_are_drawn_alike_from_all_that_differ():
    x, y = 3 ** torch.arange(6.0)[:, None], torch.tensor([0, 0, 0, 0, 1, 2])
    drawn = []

    def record(inverse, beyond):
        drawn.append(1 / inverse)
        return 1e-9

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_distance, "_extrapolated", record)
        min_class_distance(x, y, pairs=20_001, largest=20_000)
    values, counts = drawn[0].round().unique(return_counts=True)
    # 4 x 2 + 1 unordered pairs, each at a distance of its own.
    assert sorted(values.tolist()) == sorted(
        abs(float(a - b)) for i, a in enumerate(x[:, 0]) for j, b in enumerate(x[:, 0]) if i < j and y[i] != y[j]
    )
    assert counts.min() > 0.9 * counts.max()


def test_an_even_tail_ends_where_it_ends():
    x, y = np.eye(6), np.arange(6) % 2
    assert min_class_distance(x, y, pairs=100, largest=10) == pytest.approx(2**0.5)


def test_bad_arguments_are_refused():
    x, y = np.eye(3), np.array([0, 1, 1])
    with pytest.raises(InputError, match="the class 1 only"):
        min_class_distance(x, np.ones(3, dtype=int))
    with pytest.raises(InputError, match="x has 3 rows but y has 2"):
        min_class_distance(x, y[:2])
    with pytest.raises(InputError, match="fractions"):
        min_class_distance(x, y + 0.5)
    with pytest.raises(InputError, match="method is 'max'"):
        min_class_distance(x, y, "max")
    with pytest.raises(InputError, match="largest is 1"):
        min_class_distance(x, y, largest=1)
    with pytest.raises(InputError, match="ignore_below is -1"):
        min_class_distance(x, y, "min", ignore_below=-1)
    for method in ("min", "evt"):
        with pytest.raises(InputError, match="at least ignore_below = 100 apart"):
            min_class_distance(x, y, method, ignore_below=100, pairs=50, largest=5)
