from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import SelfDuality, Spread, ood_alignment, self_duality

ORACLE = np.load(Path(__file__).parents[1] / "data" / "linguistic-collapse.npz", allow_pickle=False)
MEANS, MIDDLE, WEIGHT = ORACLE["means"], ORACLE["global_mean"], ORACLE["W"]


def draw(k, d, seed=0):
    return np.random.default_rng(seed).normal(size=(k, d))


def test_it_equals_the_official_code():
    found = self_duality(WEIGHT, MEANS, MIDDLE)
    assert found.error == pytest.approx(float(ORACLE["dual_error"]), rel=1e-10)
    assert (found.cos.mean, found.cos.var) == pytest.approx(
        (ORACLE["sim_cos"].mean(), ORACLE["sim_cos"].var()), rel=1e-10
    )
    assert (found.dot.mean, found.dot.var) == pytest.approx(
        (ORACLE["sim_dot"].mean(), ORACLE["sim_dot"].var()), rel=1e-10
    )
    assert found.dist == pytest.approx(ORACLE["dual_dist"].mean(), rel=1e-10)
    assert ood_alignment(MEANS, MIDDLE + 0.5) == pytest.approx(float(ORACLE["nc5_ood"]), rel=1e-10)


def test_a_dual_classifier_is_exact():
    means = np.eye(4) - 1 / 4
    found = self_duality(2 * means, means)
    assert (found.error, found.cos.mean, found.cos.cv, found.dist) == pytest.approx((0, 1, 0, 0), abs=1e-7)
    assert self_duality(-means, means).cos.mean == pytest.approx(-1)
    # Two classes along one axis, all in whole numbers.
    axis = np.array([[1.0], [-1.0]])
    found = self_duality(3 * axis, axis)
    assert found == SelfDuality(found.error, Spread(1.0, 0.0, 0.0), Spread(3.0, 0.0, 0.0), 0.0)
    assert found.error == pytest.approx(0, abs=1e-12)
    assert self_duality(-means, means).dist == pytest.approx(2)
    assert self_duality(-means, means).error == pytest.approx(2)


@pytest.mark.parametrize("k, d", [(6, 9), (10, 9), (30, 9)])
def test_the_error_equals_its_definition_on_either_side_of_d(k, d):
    w, m = draw(k, d), draw(k, d, 1)
    gram, ideal = w @ m.T, (np.eye(k) - 1 / k) / (k - 1) ** 0.5
    expected = np.linalg.norm(gram / np.linalg.norm(gram) - ideal)
    assert self_duality(w, m).error == pytest.approx(expected, rel=1e-9)
    # The transpose has the same norm and the simplex is symmetric.
    assert self_duality(m, w).error == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 30), st.floats(0.01, 100), st.floats(0.01, 100))
def test_a_common_rotation_and_any_scales_change_nothing(seed, a, b):
    w, m = draw(7, 4, seed), draw(7, 4, seed + 1)
    q = np.linalg.qr(draw(4, 4, seed + 2))[0]
    before, after = self_duality(w, m), self_duality(a * w @ q, b * m @ q)
    for x, y in ((before.error, after.error), (before.cos.cv, after.cos.cv), (before.dist, after.dist)):
        assert y == pytest.approx(x, rel=1e-6)


def test_a_row_without_direction_counts_as_cosine_0():
    w, m = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    assert self_duality(w, m).cos.mean == 0.5
    assert ood_alignment(m, np.zeros(2)) == 0
    # Orthogonal to one another throughout: the products are all 0, and only the simplex of norm 1 remains.
    assert self_duality(np.array([[1.0, 0], [1, 0]]), np.array([[0, 1.0], [0, 1]])).error == pytest.approx(1)


def test_the_unknown_lies_along_or_across_the_classes():
    m = np.array([[1.0, 0.0, 0.0], [-2.0, 0.0, 0.0]])
    assert ood_alignment(m, np.array([0, 3.0, 0])) == pytest.approx(0)
    assert ood_alignment(m, np.array([5.0, 0, 0])) == pytest.approx(1)
    assert ood_alignment(m + 7, np.array([5.0, 0, 0]), np.full(3, 7.0)) == pytest.approx(1)


def test_bad_arguments_are_refused():
    w, m = draw(6, 3), draw(6, 3, 1)
    with pytest.raises(InputError, match="weight has 5 rows but means has 6"):
        self_duality(w[1:], m)
    with pytest.raises(InputError, match="weight has 2 dimensions but means has 3"):
        self_duality(w[:, :2], m)
    with pytest.raises(InputError, match="all values of weight are 0"):
        self_duality(0 * w, m)
    with pytest.raises(InputError, match="all values of the centred means are 0"):
        self_duality(w, np.ones((6, 3)), np.ones(3))
    with pytest.raises(InputError, match="weight holds a value that is not finite"):
        self_duality(np.full((6, 3), np.inf), m)
    with pytest.raises(InputError, match="ood_mean has 2 dimensions but means has 3"):
        ood_alignment(m, np.zeros(2))
