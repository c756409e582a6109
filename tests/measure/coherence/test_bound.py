import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import coherence_bound


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 2), st.floats(0, 3))
def test_equals_the_sum_written_out(alphas, rate, smoothness):
    rates = [rate / (1 + t) for t in range(len(alphas))]
    total = 0.0
    for t, alpha in enumerate(alphas):
        product = math.prod(1 + rates[k] * smoothness for k in range(t + 1, len(alphas)))
        total += rates[t] * product * math.sqrt(2 * (1 - alpha))
    found = coherence_bound(alphas, rates, lipschitz=3.0, smoothness=smoothness, m=7)
    assert found == pytest.approx(9 / 7 * total, rel=1e-9, abs=1e-12)


def test_full_coherence_is_0_and_early_coherence_counts_most():
    settings = {"lipschitz": 1.0, "smoothness": 1.0, "m": 10}
    assert coherence_bound([1.0] * 3, [0.1] * 3, **settings) == 0
    early, late = [0.9, 0.1, 0.1], [0.1, 0.1, 0.9]
    assert coherence_bound(early, [0.1] * 3, **settings) < coherence_bound(late, [0.1] * 3, **settings)
    assert coherence_bound(early, [0.1] * 3, **{**settings, "m": 20}) == pytest.approx(
        coherence_bound(early, [0.1] * 3, **settings) / 2
    )


def test_a_product_that_overflows_is_infinite():
    assert coherence_bound([0.5] * 2000, [1.0] * 2000, lipschitz=1.0, smoothness=1.0, m=10) == math.inf


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alphas": [0.5]}, r"alphas has shape \(1,\) and learning_rates \(2,\)"),
        ({"alphas": [0.5, 1.5]}, r"alphas holds 1\.5"),
        ({"alphas": [0.5, np.nan]}, "alphas holds nan"),
        ({"learning_rates": [0.1, -0.1]}, r"learning_rates holds -0\.1"),
        ({"lipschitz": -1.0}, r"lipschitz is -1\.0"),
        ({"smoothness": math.inf}, "smoothness is inf"),
        ({"m": 0}, "m is 0"),
    ],
)
def test_arguments_out_of_range_are_refused(changed, message):
    given = {"alphas": [0.5, 0.5], "learning_rates": [0.1, 0.1], "lipschitz": 1.0, "smoothness": 1.0, "m": 5} | changed
    with pytest.raises(InputError, match=message):
        coherence_bound(given.pop("alphas"), given.pop("learning_rates"), **given)
