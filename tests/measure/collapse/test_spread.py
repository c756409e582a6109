import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.measure import Spread
from farfield.measure.collapse.spread import Gather


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.floats(-1e6, 1e6))
def test_parts_equal_the_whole(sizes, offset):
    values = np.random.default_rng(0).normal(size=sum(sizes)) + offset
    gathered = Gather()
    for part in np.split(values, np.cumsum(sizes)[:-1]):
        gathered.add(torch.from_numpy(part))
    found = gathered.spread()
    assert found.mean == pytest.approx(values.mean())
    assert found.var == pytest.approx(values.var(), rel=1e-6, abs=1e-20)


def test_limit_values():
    assert Spread.of(torch.full((3,), 2.0)) == Spread(2.0, 0.0, 0.0)
    assert Spread.of(torch.zeros(3)) == Spread(0.0, 0.0, 0.0)
    assert Spread.of(torch.tensor([-1.0, 1.0])).cv == math.inf
    assert Spread.of(torch.tensor([-1.0, -3.0])) == Spread(-2.0, 1.0, 0.5)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_infinity_is_never_a_nan(sign, order):
    parts = [torch.tensor([1.0, 2.0]), torch.tensor([0.0, sign * math.inf])]
    gathered = Gather()
    for i in order:
        gathered.add(parts[i])
    assert gathered.spread() == Spread(sign * math.inf, math.inf, math.inf)
