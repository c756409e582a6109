"""Spheres and tori with two classes: they lie on the manifold, and the classes keep their distance."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks.manifold_classes import sphere_classes, torus_classes


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([sphere_classes, torus_classes]), st.integers(1, 6), st.floats(0.05, 0.5), st.integers(0, 10**6))
def test_points_lie_on_the_manifold_and_classes_keep_their_distance(make, m, resolution, seed):
    table = make(300, m, resolution, seed=seed)
    x, y = table.columns["x"].double(), table.columns["y"]
    assert len(x) == 300 and set(y.tolist()) == {0, 1}
    if make is sphere_classes:
        assert x.shape[1] == m + 1 and torch.allclose(x.norm(dim=1), torch.ones(300).double(), atol=1e-6)
    else:
        assert torch.allclose(x.reshape(300, m, 2).norm(dim=2), torch.ones(300, m).double(), atol=1e-6)
    distances = torch.cdist(x, x)[y[:, None] != y[None, :]]
    assert distances.min() >= resolution - 1e-5


@pytest.mark.parametrize("make", [sphere_classes, torus_classes])
def test_the_resolution_is_reached_where_points_are_dense(make):
    table = make(3000, 1, 0.3)
    x, y = table.columns["x"].double(), table.columns["y"]
    assert torch.cdist(x, x)[y[:, None] != y[None, :]].min() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("make", [sphere_classes, torus_classes])
def test_the_seed_decides(make):
    x = [make(20, 2, 0.2, seed=s).columns["x"] for s in (0, 0, 1)]
    assert torch.equal(x[0], x[1]) and not torch.equal(x[0], x[2])
    with pytest.raises(InputError, match=r"resolution is 0\.6"):
        make(20, 2, 0.6)
    with pytest.raises(InputError, match="m is 0"):
        make(20, 0, 0.2)
