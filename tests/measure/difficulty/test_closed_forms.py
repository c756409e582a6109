"""Few-shot, control, unions and the bias of models against the released code's numbers."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from farfield.errors import InputError
from farfield.measure import (
    Difficulty,
    bias_provided,
    fewshot_difficulty,
    fewshot_sets,
    inductive_bias_complexity,
    rl_difficulty,
    union_difficulty,
)

ORACLE = Path(__file__).parents[1] / "data" / "generalization-difficulty.npz"
IMAGENET = (1_280_901, 48, 943.592, 1000, 65, 999)


def test_few_shot_equals_the_released_code():
    with np.load(ORACLE) as oracle:
        found = fewshot_difficulty(0.01, math.log2(1e30), 5, 7, 10, 2)
        assert found.bits == pytest.approx(float(oracle["omniglot_difficulty"]), rel=1e-9)


def test_omniglot_lies_far_above_imagenet_and_one_way_is_what_the_formula_says():
    omniglot = fewshot_difficulty(0.01, fewshot_sets([20] * 30), 22, 29, 49.4065, 5.4772)
    assert omniglot.log2_bits * math.log10(2) == pytest.approx(145, abs=0.5)
    assert omniglot.bits > inductive_bias_complexity(0.1, *IMAGENET).bits
    # From the plain formula, where nothing overflows.
    small = fewshot_difficulty(0.01, 10.0, 2, 3, 5, 2, ways=3)
    harmonics = inductive_bias_complexity(0.01, 10, 2, 5, 2, 2, 1).components["E"]
    plain = inductive_bias_complexity(0.01, 1024, 3 + 2 * 2, 5 * 3**0.5, 1, 2, 2 * 3 * 2 * harmonics, 6**0.5)
    assert small.bits == pytest.approx(plain.bits, rel=1e-12)


def test_sets_are_counted_even_beyond_any_float():
    assert 2 ** fewshot_sets([5, 6], ways=3, examples=2) == pytest.approx((10 + 20) * 8)
    assert fewshot_sets([14], ways=20, examples=20) == pytest.approx(20 * math.log2(20))
    assert fewshot_sets([3000], ways=1000, examples=20) > 5000


def test_control_has_the_published_figures_in_order():
    cartpole = [rl_difficulty(2, 1, 1e4, 1e-3, 1e-3, horizon=t) for t in range(1, 6)]
    assert [bits for bits, _ in cartpole] == pytest.approx([4.41e9, 3.33e17, 1.46e25, 4.69e32, 1.19e40], rel=4e-3)
    assert all(log2 == pytest.approx(math.log2(bits)) for bits, log2 in cartpole)
    mujoco = [rl_difficulty(m, d, 1e6, 1e-3, 1e-3)[0] for m, d in ((6, 2), (15, 4), (17, 6))]
    assert mujoco == pytest.approx([2.91e25, 7.61e58, 1.72e66], rel=4e-3)
    # Cartpole's own formula in plain numbers.
    t, n, small = 2, 1e4, 1e-3
    count = 2 * (2 * math.pi / small) ** (2 * t) * math.pi**t / math.gamma(t + 1) - n
    bracket = math.log2(4 * math.pi**2 / 3**0.5) + 0.5 * math.log2(t) - 2 * math.log2(small) - math.log2(n) / (2 * t)
    assert cartpole[1][0] == pytest.approx(count * bracket)


def test_control_that_the_data_determine_has_no_bits_and_nothing_overflows():
    assert rl_difficulty(1, 1, 1e9, 0.1, 0.1) == (0.0, -math.inf)
    bits, log2_bits = rl_difficulty(200, 5, 1e6, 1e-3, 1e-3)
    assert bits == math.inf and 1024 < log2_bits < 4000


def test_a_union_is_harder_than_either_and_has_the_sums():
    mnist = inductive_bias_complexity(0.001, 60_000, 14, 17.179, 10, 2.39871, 9)
    cifar = inductive_bias_complexity(0.01, 50_000, 27, 54.9157, 10, 2.75064, 9)
    both = union_difficulty(mnist, cifar)
    plain = inductive_bias_complexity(0.001, 3e9, 41, math.hypot(17.179, 54.9157), 100, 2.39871, 10)
    assert isinstance(both, Difficulty) and both.bits == pytest.approx(plain.bits, rel=1e-9)
    assert both.bits > cifar.bits > mnist.bits
    assert union_difficulty(mnist, cifar, error=0.01).bits < both.bits


def test_a_models_bias_grows_as_its_error_falls():
    imagenet = inductive_bias_complexity(0.1, *IMAGENET)
    bits = [bias_provided(imagenet, e).bits for e in (0.97, 0.5, 0.2, 0.0906)]
    assert all(a < b for a, b in pairwise(bits))
    assert bits[0] == pytest.approx(3.11e41, rel=4e-3) and bits[-1] == pytest.approx(3.60e41, rel=4e-3)
    assert bias_provided(imagenet, imagenet.error) == imagenet


def test_bad_arguments_are_refused_by_name():
    task = inductive_bias_complexity(0.1, 10, 2, 1, 2, 0.5, 1)
    with pytest.raises(InputError, match="error is 0"):
        bias_provided(task, 0.0)
    with pytest.raises(InputError, match="ways is 1"):
        fewshot_difficulty(0.1, 10.0, 2, 2, 1, 1, ways=1)
    with pytest.raises(InputError, match="m_within is 0"):
        fewshot_difficulty(0.1, 10.0, 0, 2, 1, 1)
    with pytest.raises(InputError, match="delta is 0"):
        fewshot_difficulty(0.1, 10.0, 2, 2, 1, 0)
    with pytest.raises(InputError, match="expected numbers of at least 1"):
        fewshot_sets([])
    with pytest.raises(InputError, match="horizon is 0"):
        rl_difficulty(2, 1, 10, 0.1, 0.1, horizon=0)
    with pytest.raises(InputError, match="delta is 0"):
        rl_difficulty(2, 1, 10, 0, 0.1)
