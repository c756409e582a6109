"""Inductive-bias complexity against the released code's numbers, closed forms and invariances."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import inductive_bias_complexity
from farfield.measure.difficulty.complexity import _log_gamma_ratio, log_harmonics, log_wasserstein

ORACLE = Path(__file__).parents[1] / "data" / "generalization-difficulty.npz"
ARGUMENTS = ("error", "n", "m", "R", "prod_d", "delta", "D", "B")


@pytest.mark.filterwarnings("ignore:the inductive-bias complexity has left its domain")
def test_equals_the_released_code_negative_numbers_included():
    with np.load(ORACLE) as oracle:
        for i, bits in enumerate(oracle["difficulty_bits"]):
            found = inductive_bias_complexity(*(float(oracle[name][i]) for name in ARGUMENTS))
            assert found.formula_bits == pytest.approx(bits, rel=1e-9)
            assert found.determined_by_data == (bits < 0)
            assert found.bits == (0.0 if bits < 0 else pytest.approx(bits, rel=1e-9))
            parts = found.components
            assert parts["log_W"] == pytest.approx(oracle["log_wasserstein"][i], rel=1e-9)
            assert parts["K"] == pytest.approx(oracle["K"][i], rel=1e-9)
            assert parts["E"] == pytest.approx(oracle["E"][i], rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "bits"),
    [
        ((0.001, 60_000, 14, 17.179, 10, 2.39871, 9), 1.48e16),
        ((0.01, 73_257, 19, 53.8693, 10, 1.57670, 9), 1.21e31),
        ((0.01, 50_000, 27, 54.9157, 10, 2.75064, 9), 3.44e32),
        ((0.1, 1_280_901, 48, 943.592, 1000, 65, 999), 3.58e41),
        ((0.1, 1e2, 48, 943.592, 1000, 65, 999), 3.62e41),
        ((0.1, 1e19, 48, 943.592, 1000, 65, 999), 3.46e41),
        ((0.97, 1_280_901, 48, 943.592, 1000, 65, 999), 3.11e41),
        ((0.09, 1_280_901, 48, 943.592, 1000, 65, 999), 3.60e41),
    ],
)
def test_the_published_tasks(arguments, bits):
    assert inductive_bias_complexity(*arguments).bits == pytest.approx(bits, rel=3.5e-3)


def test_two_cases_to_all_digits():
    two = inductive_bias_complexity(0.1, 10, 2, 1, 2, 0.5, 1)
    assert two.bits == pytest.approx(4912.0486, abs=1e-4)
    assert two.components["K"] == pytest.approx(12.0763, abs=1e-4)
    assert two.components["E"] == pytest.approx(170.990, abs=1e-3)
    assert two.components["log_W"] == pytest.approx(-0.088513, abs=1e-6)
    three = inductive_bias_complexity(0.1, 10, 3, 1, 2, 0.5, 1)
    assert three.bits == pytest.approx(22461.585, abs=1e-3)
    assert three.components["K"] == pytest.approx(11.6061, abs=1e-4)
    assert three.components["E"] == pytest.approx(749.318, abs=1e-3)
    # The formula in plain numbers, from the parts.
    parts = three.components
    assert parts["free_dimensions"] == pytest.approx(2 * 2 * parts["E"] - 10)
    bracket = 0.5 + math.log2(10) + math.log2(parts["K"]) + parts["log_W"] / math.log(2)
    assert three.bits == pytest.approx(parts["free_dimensions"] * bracket)


def test_harmonics_on_the_circle_the_sphere_and_in_three_dimensions():
    for degree in (1, 2, 7, 40, 1000):
        assert math.exp(log_harmonics(1, degree)) == pytest.approx(2 * degree + 1)
        assert math.exp(log_harmonics(2, math.sqrt(degree * (degree + 1)))) == pytest.approx((degree + 1) ** 2)
        whole = math.comb(3 + degree, 3) + math.comb(2 + degree, 3)
        assert math.exp(log_harmonics(3, math.sqrt(degree * (degree + 2)))) == pytest.approx(whole)


@given(st.integers(1, 60), st.integers(1, 10**7))
def test_the_ratio_of_gamma_functions_is_a_product_to_the_last_digits(m, x):
    assert _log_gamma_ratio(float(x), m) == pytest.approx(sum(math.log(x + i) for i in range(m)), rel=1e-12, abs=1e-13)


tasks = st.fixed_dictionaries(
    {
        "error": st.floats(1e-4, 0.05),
        "n": st.floats(1, 50),
        "m": st.floats(1, 30),
        "radius": st.floats(5, 50),
        "n_discrete": st.integers(2, 50),
        "delta": st.floats(0.1, 2),
    }
)


@given(tasks, st.floats(1e-3, 1e3))
def test_scaling_the_data_changes_nothing(task, c):
    one = inductive_bias_complexity(**task, out_dim=task["n_discrete"] - 1)
    other = inductive_bias_complexity(
        **task | {"radius": c * task["radius"], "delta": c * task["delta"]}, out_dim=task["n_discrete"] - 1
    )
    assert other.log2_bits == pytest.approx(one.log2_bits, rel=1e-9, abs=1e-9)


@given(tasks)
def test_halving_the_error_adds_a_bit_for_each_free_dimension(task):
    one = inductive_bias_complexity(**task, out_dim=3)
    half = inductive_bias_complexity(**task | {"error": task["error"] / 2}, out_dim=3)
    assert half.bits - one.bits == pytest.approx(one.components["free_dimensions"], rel=1e-6)


@given(tasks, st.floats(1.0, 1.5))
def test_harder_in_dimension_and_resolution_easier_with_data(task, factor):
    one = inductive_bias_complexity(**task, out_dim=3).log2_bits
    # Where the dimension is above the frequency there are few functions, and the Wasserstein bound decides.
    if task["m"] * factor < math.pi * task["radius"] / task["delta"]:
        assert inductive_bias_complexity(**task | {"m": task["m"] * factor}, out_dim=3).log2_bits >= one - 1e-9
    assert inductive_bias_complexity(**task | {"delta": task["delta"] / factor}, out_dim=3).log2_bits >= one - 1e-9
    assert inductive_bias_complexity(**task | {"n": task["n"] * factor}, out_dim=3).log2_bits <= one + 1e-9


def test_more_data_take_away_dimensions_and_shrink_the_bound():
    a, b = (inductive_bias_complexity(0.01, n, 5, 10, 4, 1, 3) for n in (100, 800))
    assert a.components["free_dimensions"] - b.components["free_dimensions"] == pytest.approx(700 * 3, rel=1e-6)
    assert (a.components["log_W"] - b.components["log_W"]) / math.log(2) == pytest.approx(3 / 5)
    assert log_wasserstein(0.0, 5, 1.0, 4) - log_wasserstein(5.0, 5, 1.0, 4) == pytest.approx(1.0)


@pytest.mark.parametrize("dimension", [3, 6, 9])
def test_polynomial_in_the_resolution_with_the_dimension_as_its_degree(dimension):
    logs = [inductive_bias_complexity(0.01, 100, dimension, 1, 2, d, 1).log2_bits for d in (2e-4, 1e-4)]
    assert logs[1] - logs[0] == pytest.approx(dimension, abs=0.12)


def test_outside_its_domain_it_warns_and_reports_no_bits():
    with pytest.warns(UserWarning, match="determined by its data"):
        found = inductive_bias_complexity(0.01, 1e7, 2, 10, 10, 2.5, 9)
    assert found.formula_bits == pytest.approx(-6.44e8, rel=1e-3)
    assert (found.bits, found.log2_bits, found.determined_by_data) == (0.0, -math.inf, True)
    # An error that any function reaches, and both at once, whose product is positive and means nothing.
    with pytest.warns(UserWarning):
        assert inductive_bias_complexity(1e9, 10, 2, 1, 2, 0.5, 1).bits == 0
    with pytest.warns(UserWarning):
        both = inductive_bias_complexity(1e9, 1e7, 2, 10, 10, 2.5, 9)
    assert both.formula_bits > 0 and both.bits == 0 and both.determined_by_data


def test_nothing_overflows():
    found = inductive_bias_complexity(0.01, 1e6, 3000, 1e3, 10, 0.01, 9)
    assert found.bits == math.inf and 10_000 < found.log2_bits < math.inf
    assert found.n == pytest.approx(1e6) and found.out_dim == pytest.approx(9)


def test_bad_arguments_are_refused_by_name():
    good = {"error": 0.1, "n": 10, "m": 2, "radius": 1, "n_discrete": 2, "delta": 0.5, "out_dim": 1, "bound": 1}
    for name, value in [("error", 0), ("delta", 0), ("radius", -1), ("bound", math.inf), ("n", 0), ("m", 0.5)]:
        with pytest.raises(InputError, match=f"{name} is"):
            inductive_bias_complexity(**good | {name: value})
    for name in good:
        with pytest.raises(InputError, match=f"{name} is nan"):
            inductive_bias_complexity(**good | {name: math.nan})
