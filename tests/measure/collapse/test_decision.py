from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import ncc_agreement

ORACLE = np.load(Path(__file__).parents[1] / "data" / "linguistic-collapse.npz", allow_pickle=False)


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def by_loop(x, w, m, b=0.0):
    hits = [np.argmax(w @ row + b) == np.argmin([np.linalg.norm(row - mean) for mean in m]) for row in x]
    return float(np.mean(hits))


def test_it_equals_the_official_code():
    assert ncc_agreement(ORACLE["X"], ORACLE["W"], ORACLE["means"]) == pytest.approx(float(ORACLE["ncc_agree"]))


@given(st.integers(0, 40), st.integers(2, 12), st.booleans())
def test_it_equals_a_loop_over_examples(seed, k, biased):
    x, w, m = draw(50, 4, seed), draw(k, 4, seed + 1), draw(k, 4, seed + 2)
    b = draw(1, k, seed + 3)[0] if biased else None
    assert ncc_agreement(x, w, m, b) == pytest.approx(by_loop(x, w, m, 0 if b is None else b))


def test_weights_that_are_equinorm_means_decide_as_they_do():
    m = draw(30, 6)
    m /= np.linalg.norm(m, axis=1, keepdims=True)
    assert ncc_agreement(draw(500, 6, 1), m, m) == 1
    # And with any lengths once the bias makes up for them.
    m = draw(30, 6)
    assert ncc_agreement(draw(500, 6, 1), m, m, -(m**2).sum(1) / 2) == 1
    assert ncc_agreement(draw(500, 6, 1), m, m) < 1


def test_unrelated_rules_agree_by_chance():
    k = 10
    found = [ncc_agreement(draw(200, 50, s), draw(k, 50, s + 100), draw(k, 50, s + 200)) for s in range(60)]
    assert np.mean(found) == pytest.approx(1 / k, abs=0.02)


def test_rows_held_at_a_time_do_not_matter(monkeypatch):
    from farfield.measure.collapse import decision

    x, w, m = draw(101, 4), draw(9, 4, 1), draw(9, 4, 2)
    whole = ncc_agreement(x, w, m)
    monkeypatch.setattr(decision, "_SCORES", 70)
    assert ncc_agreement(x, w, m) == whole


def test_means_far_from_the_origin_are_told_apart():
    # |m|^2 of 1e16 knows nothing of what makes the difference here.
    m = 1e8 + np.eye(3)
    assert ncc_agreement(m + 0.1 * draw(3, 3), np.eye(3), m) == 1


def test_bad_arguments_are_refused():
    x, w, m = draw(5, 4), draw(3, 4), draw(3, 4, 1)
    with pytest.raises(InputError, match="features has 3 dimensions but means has 4"):
        ncc_agreement(x[:, :3], w, m)
    with pytest.raises(InputError, match="weight has 2 rows but means has 3"):
        ncc_agreement(x, w[:2], m)
    with pytest.raises(InputError, match="bias has 2 values but means has 3 rows"):
        ncc_agreement(x, w, m, np.zeros(2))
    with pytest.raises(InputError, match="n at least 2"):
        ncc_agreement(x, w[:1], m[:1])
    with pytest.raises(InputError, match="features holds a value that is not finite, first in row 0"):
        ncc_agreement(np.full((5, 4), np.nan), w, m)
