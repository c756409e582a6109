import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import domain_invariance
from farfield.measure import domain_invariance as function


def sample(n, shift=0.0, seed=0, d=3):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def slow_mmd(a, b, scale):
    def kernel(x, y):
        return np.exp(-((x - y) ** 2).sum() / scale)

    n, m = len(a), len(b)
    within = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within += sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within - 2 * sum(kernel(x, y) for x in a for y in b) / (n * m)


def test_the_discrepancy_equals_an_explicit_loop(monkeypatch):
    a, b = sample(12), sample(9, 0.7, seed=1)
    both = np.concatenate([a, b])
    squares = [((both[i] - both[j]) ** 2).sum() for i in range(21) for j in range(i)]
    expected = slow_mmd(a, b, sorted(squares)[(len(squares) - 1) // 2])
    assert domain_invariance(a, b).mmd == pytest.approx(expected)
    # In small blocks it is the same.
    import sys

    monkeypatch.setattr(sys.modules["farfield.measure.domain_invariance"], "BLOCK", 20)
    assert function(a, b).mmd == pytest.approx(expected)


def test_alike_is_near_zero_and_a_half_apart_is_one():
    alike, apart = domain_invariance(sample(400), sample(400, seed=1)), domain_invariance(sample(400), sample(400, 6))
    assert abs(alike.mmd) < 0.01 and abs(alike.auc - 0.5) < 0.1
    assert apart.mmd > 0.8 and apart.auc == pytest.approx(1)
    # Over many draws from one distribution the estimate has no bias: it falls on both sides of 0.
    values = [domain_invariance(sample(40, seed=i), sample(40, seed=100 + i)).mmd for i in range(20)]
    assert min(values) < 0 < max(values)


def test_a_kernel_sees_a_spread_that_a_line_does_not():
    found = domain_invariance(sample(500), 4 * sample(500, seed=1))
    assert found.mmd > 0.05 and abs(found.auc - 0.5) < 0.1


def test_origin_and_unit_do_not_matter():
    a, b = sample(60), sample(60, 1, seed=1)
    first, moved = domain_invariance(a, b), domain_invariance(1e3 + 50 * a, 1e3 + 50 * b)
    assert moved.mmd == pytest.approx(first.mmd, abs=1e-9) and moved.auc == pytest.approx(first.auc)


def test_constant_rows_are_alike():
    ones = torch.ones(10, 2)
    found = domain_invariance(ones, ones)
    assert (found.mmd, found.auc) == (0, 0.5)


def test_bad_input_is_named():
    for z_b, folds, says in ((sample(9, d=2), 5, "columns"), (sample(4), 5, "z_b has shape"), (sample(9), 1, "folds")):
        with pytest.raises(InputError, match=says):
            domain_invariance(sample(20), z_b, folds=folds)
