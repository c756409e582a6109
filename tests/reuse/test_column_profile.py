"""Telling another model's embeddings by their columns: other data of one model pass, another model's do not."""

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.reuse import ColumnProfile


def network(seed):
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((20, 100), (100, 64)))
    return lambda x: torch.relu(torch.relu(x @ first) @ second)


def data(shift, n=600):
    return torch.randn(n, 20, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + shift


def test_other_data_of_one_model_pass_and_another_model_is_refused():
    mine, other = network(0), network(1)
    profile = ColumnProfile.of(mine(data(0.0)))
    profile.check(mine(data(0.5)), "x")
    assert profile.agreement(mine(data(0.5))) > 0.6
    with pytest.raises(InputError, match=r"the columns of x do not behave like .* they are of another model"):
        profile.check(other(data(0.0)), "x")


def test_another_order_of_the_columns_is_another_model():
    rows = network(0)(data(0.0))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    assert abs(ColumnProfile.of(rows).agreement(rows[:, order])) < 0.5
    assert ColumnProfile.of(rows).agreement(rows) == pytest.approx(1)


@pytest.mark.parametrize("shape", [(10, 64), (600, 8)])
def test_few_rows_or_columns_say_nothing(shape):
    rows = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    assert ColumnProfile.of(rows).agreement(rows) is None


def test_columns_that_are_all_alike_say_nothing():
    rows = torch.randn(600, 64, generator=torch.Generator().manual_seed(0))
    assert ColumnProfile.of(rows).agreement(torch.randn(600, 64, generator=torch.Generator().manual_seed(1))) is None


def test_mean_and_deviation_are_those_of_the_columns():
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)))
    profile = ColumnProfile.of(rows)
    np.testing.assert_allclose(profile.mean, rows.numpy().mean(0))
    np.testing.assert_allclose(profile.std, rows.numpy().std(0))
