import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import coherence_from_batches, coherence_from_gradients, coherence_of_batches


def test_by_hand():
    assert coherence_of_batches(0.2, 2) == pytest.approx(1 / 3)
    assert coherence_from_batches(1 / 3, 2) == pytest.approx(0.2)


@given(st.floats(0, 1), st.integers(1, 1000))
def test_each_undoes_the_other_and_the_ends_stay(alpha, k):
    assert coherence_from_batches(coherence_of_batches(alpha, k), k) == pytest.approx(alpha, abs=1e-9)
    assert coherence_of_batches(alpha, 1) == pytest.approx(alpha)
    assert coherence_of_batches(1.0, k) == pytest.approx(1) and coherence_of_batches(0.0, k) == 0


def test_many_batches_drawn_independently_give_back_the_coherence_of_examples():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 8)) + 0.4
    batches = rows[rng.integers(50, size=(20_000, 5))].mean(1)
    alpha = coherence_from_gradients(rows).alpha
    assert coherence_from_gradients(batches).alpha > 2 * alpha
    assert coherence_from_batches(coherence_from_gradients(batches).alpha, 5) == pytest.approx(alpha, rel=0.02)


def test_arguments_out_of_range_are_refused():
    for function in (coherence_from_batches, coherence_of_batches):
        with pytest.raises(InputError, match=r"alpha is 1\.1; it must be from 0 to 1"):
            function(1.1, 2)
        with pytest.raises(InputError, match="batch_size is 0"):
            function(0.5, 0)
