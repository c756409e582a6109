import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure.dimension import geomle


def test_the_constant_term_is_that_of_ridge_regression():
    from sklearn.linear_model import Ridge

    g = np.random.default_rng(0)
    x, y, w = g.uniform(0.5, 1, size=(6, 9)), g.normal(3, 1, size=(6, 9)), g.uniform(0.1, 2, size=(6, 9))
    found = geomle._constant_term(*map(torch.from_numpy, (x, y, w)))
    for i in range(6):
        fit = Ridge(alpha=geomle.RIDGE).fit(np.stack([x[i], x[i] ** 2], 1), y[i], w[i])
        assert float(found[i]) == pytest.approx(fit.intercept_, rel=1e-8)


def test_a_row_that_is_not_finite_has_none():
    x, y = torch.rand(2, 5, generator=torch.Generator().manual_seed(0)), torch.ones(2, 5)
    y[1, 2] = torch.nan
    found = geomle._constant_term(x, y, torch.ones(2, 5))
    assert float(found[0]) == pytest.approx(1) and bool(found[1].isnan())


def test_bad_arguments_are_refused():
    points = torch.rand(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="k1 is 2 and k2 is 55"):
        geomle.extrapolated(points, k1=2)
    with pytest.raises(InputError, match="resamples is 1"):
        geomle.extrapolated(points, resamples=1)
    with pytest.raises(InputError, match="points has 80 rows; 55 neighbours in a resample need at least 100"):
        geomle.extrapolated(points[:80])
