"""The inverted U: closed forms, shapes that are none, and a quadratic that flattens."""

import numpy as np
import pytest

from farfield.errors import InputError
from farfield.measure import InvertedU, TwoLines, inverted_u_test


def test_a_parabola_exactly():
    x = np.array([1.0, 2.0, 4.0, 5.0, 7.0, 8.0, 9.0])
    found = inverted_u_test(x, 3 + 2 * x - 0.25 * x**2)
    assert isinstance(found, InvertedU)
    assert found.coefficients == pytest.approx((3, 2, -0.25)) and found.quadratic == found.coefficients[2]
    assert found.interval == pytest.approx((-0.25, -0.25)) and found.maximum == pytest.approx(4)
    assert found.inside and found.end_slopes == pytest.approx((1.5, -2.5)) and found.n == 7


def test_moving_and_scaling_the_axes():
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 25)
    y = -(x**2) + 0.1 * rng.normal(size=25)
    one, two = inverted_u_test(x, y), inverted_u_test(1e4 + 10 * x, 5 * y)
    assert two.quadratic == pytest.approx(one.quadratic * 5 / 100, rel=1e-5)
    assert two.interval == pytest.approx([i * 5 / 100 for i in one.interval], rel=1e-5)
    assert two.maximum == pytest.approx(1e4 + 10 * one.maximum)
    assert isinstance(one.two_lines, TwoLines) and one.two_lines.inverted and two.two_lines.inverted


def test_a_curve_that_flattens_is_concave_but_no_inverted_u():
    rng = np.random.default_rng(1)
    x = np.linspace(0.1, 5, 60)
    found = inverted_u_test(x, np.log(x) + 0.1 * rng.normal(size=60))
    assert found.interval[1] < 0 and not (found.two_lines and found.two_lines.inverted)
    line = inverted_u_test(x, x + 0.1 * rng.normal(size=60))
    assert line.interval[0] < 0 < line.interval[1] and not (line.two_lines and line.two_lines.inverted)
    cup = inverted_u_test(x, (x - 2.5) ** 2)
    assert cup.maximum is None and not cup.inside and not (cup.two_lines and cup.two_lines.inverted)


def test_a_tent_has_two_lines_that_meet_at_its_top():
    rng = np.random.default_rng(2)
    x = np.linspace(0, 10, 80)
    found = inverted_u_test(x, -np.abs(x - 6) + 0.2 * rng.normal(size=80)).two_lines
    assert found.slopes == pytest.approx((1, -1), abs=0.15) and max(found.p) < 1e-6 and abs(found.at - 6) < 1.5


def test_the_interval_covers():
    rng = np.random.default_rng(3)
    x = np.linspace(-1, 1, 40)
    hits = 0
    for seed in range(60):
        low, high = inverted_u_test(x, -0.5 * x**2 + rng.normal(size=40), resamples=300, seed=seed).interval
        hits += low <= -0.5 <= high
    assert hits >= 50  # 57 expected; below 50 has a chance of less than 0.1 % at 95 %


def test_few_points():
    assert inverted_u_test([0, 1, 2, 3, 4], [0, 1, 2, 1, 0]).two_lines is None
    assert inverted_u_test([0, 0, 1, 1, 2, 2], [0, 1, 2, 2, 1, 0]).inside
    again = [inverted_u_test([0, 1, 2, 3, 4], [0, 1, 3, 1, 0], seed=s).interval for s in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


def test_bad_input():
    with pytest.raises(InputError, match="x has 4 numbers, 2 of them different"):
        inverted_u_test([0, 0, 1, 1], [1, 2, 3, 4])
    with pytest.raises(InputError, match=r"x has shape \(3,\) but y has \(4,\)"):
        inverted_u_test([0, 1, 2], [1, 2, 3, 4])
    with pytest.raises(InputError, match="not finite"):
        inverted_u_test([0, 1, 2, 3], [1, 2, 3, np.nan])
    with pytest.raises(InputError, match="resamples is 5"):
        inverted_u_test([0, 1, 2, 3], [1, 2, 3, 3], resamples=5)
