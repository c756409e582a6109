import numpy as np
import pytest

from farfield.errors import InputError
from farfield.measure import domain_correlation

NEAR = [0.7, 0.75, 0.8, 0.9, 0.95]


def test_it_is_pearsons_correlation_with_fishers_interval():
    far = [0.5, 0.62, 0.58, 0.7, 0.66]
    found = domain_correlation(NEAR, {"far": far})["far"]
    r = np.corrcoef(NEAR, far)[0, 1]
    assert found.value == pytest.approx(r)
    half = 1.959964 / (5 - 3) ** 0.5
    assert (found.low, found.high) == pytest.approx((np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)))
    assert found.n == 5 and 0 < found.p < 1


def test_each_domain_has_its_own_and_a_falling_line_is_minus_one():
    rising, falling = [0.1 + 0.5 * v for v in NEAR], [0.9 - 0.5 * v for v in NEAR]
    found = domain_correlation(NEAR, {"up": rising, "down": falling})
    assert list(found) == ["up", "down"]
    assert found["up"].value == pytest.approx(1) and found["down"].value == pytest.approx(-1)


def test_noise_has_a_wide_interval_around_zero_that_covers_it_19_times_of_20():
    rng = np.random.default_rng(0)
    found = [domain_correlation(rng.normal(size=8), {"far": rng.normal(size=8)})["far"] for _ in range(400)]
    assert np.mean([f.low < 0 < f.high for f in found]) == pytest.approx(0.95, abs=0.03)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="in_domain has 3 runs; an interval needs at least 4"):
        domain_correlation(NEAR[:3], {"far": NEAR[:3]})
    with pytest.raises(InputError, match=r"out_of_domain\['far'\] has 4 runs but in_domain has 5"):
        domain_correlation(NEAR, {"far": NEAR[:4]})
    with pytest.raises(InputError, match=r"all scores of out_of_domain\['far'\] are 0\.5"):
        domain_correlation(NEAR, {"far": [0.5] * 5})
    with pytest.raises(InputError, match="in_domain must be one finite score for each run"):
        domain_correlation([*NEAR[:4], float("nan")], {"far": NEAR})
    with pytest.raises(InputError, match="out_of_domain is empty"):
        domain_correlation(NEAR, {})
