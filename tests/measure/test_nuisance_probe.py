import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import linear_probe, nuisance_probe


def test_a_nuisance_that_is_there_that_is_not_and_the_shares_by_chance():
    rng = np.random.default_rng(0)
    nuisance = rng.choice(3, 300, p=[0.6, 0.3, 0.1])
    there = rng.normal(size=(300, 4)) + 8 * np.eye(4)[nuisance]
    found, absent = nuisance_probe(there, nuisance), nuisance_probe(rng.normal(size=(300, 4)), nuisance)
    share = (nuisance == 0).mean()
    assert found.chance == absent.chance == pytest.approx(share)
    assert found.accuracy.value > 0.97 and found.gained == pytest.approx((found.accuracy.value - share) / (1 - share))
    assert abs(absent.gained) < 0.15
    assert found.accuracy.value == linear_probe(there, nuisance).value


def test_accepts_torch_and_refuses_one_value():
    z = torch.repeat_interleave(torch.eye(2), 20, 0)
    assert nuisance_probe(z, torch.repeat_interleave(torch.arange(2), 20)).gained == 1
    with pytest.raises(InputError, match="nothing to tell apart"):
        nuisance_probe(z, torch.zeros(40))
