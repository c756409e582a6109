import math
from pathlib import Path

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.nn import GumbelSoftmax

ORACLE = Path(__file__).parents[1] / "data" / "catch.npz"


def log_alpha(n=50, k=5, seed=0):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed)).log_softmax(1)


def test_equals_the_released_code():
    with np.load(ORACLE) as data:
        found = GumbelSoftmax(float(data["temperature"]))(
            torch.from_numpy(data["disc_log_alpha"]), torch.from_numpy(data["gumbel_uniform"])
        )
        np.testing.assert_allclose(found.detach().numpy(), data["gumbel_softmax"], rtol=1e-5, atol=1e-6)


def test_rows_sum_to_one_and_without_noise_at_temperature_one_they_are_alpha():
    draw, given = GumbelSoftmax(), log_alpha()
    torch.testing.assert_close(draw(given).sum(1), torch.ones(50))
    torch.testing.assert_close(draw.eval()(given), given.exp())


def test_as_the_temperature_vanishes_rows_are_one_hot_at_the_largest_noised_logarithm():
    given, uniform = log_alpha(), torch.rand(50, 5, generator=torch.Generator().manual_seed(1)).double()
    found = GumbelSoftmax(1e-4)(given.double(), uniform)
    largest = (given.double() - torch.log(-torch.log(uniform))).argmax(1)
    torch.testing.assert_close(found.detach(), torch.nn.functional.one_hot(largest, 5).double(), atol=1e-6, rtol=0)


def test_hard_draws_come_up_as_often_as_their_probabilities():
    alpha = torch.tensor([0.6, 0.3, 0.1])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = GumbelSoftmax(0.1)(alpha.log().expand(20_000, 3)).argmax(1)
    shares = torch.bincount(drawn, minlength=3) / 20_000
    torch.testing.assert_close(shares, alpha, atol=0.015, rtol=0)


def test_the_temperature_is_learned_and_cannot_cross_zero():
    draw = GumbelSoftmax(0.5)
    assert float(draw.tau.detach()) == pytest.approx(0.5)
    optimizer = torch.optim.SGD(draw.parameters(), lr=0.1)
    # The gradient pulls the temperature down, past 0 within the first steps if it were trained itself.
    for _ in range(5):
        optimizer.zero_grad()
        draw.eval()(log_alpha()).square().sum().neg().backward()
        optimizer.step()
    assert 0 < float(draw.tau.detach()) < 0.5
    assert not list(GumbelSoftmax(0.5, learn=False).parameters())


@pytest.mark.parametrize("tau", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_none_is_refused(tau):
    with pytest.raises(InputError, match="tau is"):
        GumbelSoftmax(tau)
