"""Search quality by query against explicit loops and the library's own means, and what an interval covers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.jobs import quality
from farfield.measure import map_at_k

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(40, 5, generator=GENERATOR)
Y = torch.arange(40) % 3


def test_nearest_is_the_order_of_cosines_without_the_row_itself(monkeypatch):
    monkeypatch.setattr(quality, "BLOCK", 7 * 40)
    found = quality.nearest(X, X, 4, own=torch.arange(40))
    for i in range(40):
        cosines = torch.nn.functional.cosine_similarity(X[i][None], X)
        order = [j for j in cosines.argsort(descending=True).tolist() if j != i]
        assert found[i].tolist() == order[:4]
    assert (quality.nearest(X, X, 1)[:, 0] == torch.arange(40)).all()


def test_more_than_there_are_is_refused():
    with pytest.raises(InputError, match="40 nearest rows were asked for and there are 39"):
        quality.nearest(X, X, 40, own=torch.arange(40))


def test_measures_by_query_equal_a_loop_and_the_mean_of_the_library():
    found = quality.nearest(X, X, 6, own=torch.arange(40))
    assert float(quality.average_precision(found, Y, Y).mean()) == pytest.approx(map_at_k(Y[found], Y, 6))
    votes = quality.vote(found, Y, Y)
    for i in range(40):
        counts = np.bincount(Y[found[i]].numpy(), minlength=3)
        assert votes[i] == (counts.argmax() == Y[i])
    other = quality.nearest(X[:, :2], X[:, :2], 6, own=torch.arange(40))
    for share, a, b in zip(quality.shared(other, found), other.tolist(), found.tolist()):
        assert share == pytest.approx(len({*a} & {*b}) / 6)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(0, 5))
def test_an_interval_holds_its_mean_and_lies_within_the_values(n, seed):
    values = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    found = quality.interval(values, seed=seed)
    assert (
        values.min() <= found["low"] <= found["mean"] + 1e-9
        and found["mean"] <= found["high"] + 1e-9 <= values.max() + 2e-9
    )


def test_an_interval_is_as_wide_as_the_standard_error_says():
    values = torch.randn(900, generator=GENERATOR)
    found = quality.interval(values)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * float(values.std()) / 30, rel=0.08)
