import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import lu_class, sample_lu

CLASSES = ("local", "global", "geometry", "topology", "intermediate")


@pytest.mark.parametrize(
    "window, cls",
    [
        ((0, 0.4), "local"),
        ((0.2, 0.2), "local"),
        ((0, 0.402), "local"),  # within the tolerance
        ((0, 0.41), "intermediate"),
        ((0.6, 1), "global"),
        ((0.59, 1), "intermediate"),
        ((0, 1), "geometry"),
        ((0.1, 0.9), "geometry"),
        ((0.1, 0.89), "intermediate"),
        ((0.4, 0.6), "topology"),
        ((0.5, 0.5), "topology"),
        ((0.39, 0.6), "intermediate"),
        ((0.4, 0.61), "intermediate"),
    ],
)
def test_the_borders_of_the_classes(window, cls):
    assert lu_class(*window) == cls


@given(st.sampled_from(CLASSES), st.integers(1, 30), st.integers(0, 1000))
def test_drawn_windows_are_of_the_class_and_rounded(cls, n, seed):
    found = sample_lu(cls, n, torch.Generator().manual_seed(seed))
    assert len(found) == n and all(lu_class(*window) == cls for window in found)
    for low, high in found:
        assert low == round(low, 2) and (high == 1 or high - 1e-5 == pytest.approx(round(high, 2), abs=1e-12))
        assert low < high and 0.005 < low + high < 1.995
    assert found == sample_lu(cls, n, torch.Generator().manual_seed(seed))


def test_they_are_uniform_over_their_part_of_the_triangle():
    # Local: the triangle l < u, l + u < 0.4, whose centre of mass is (0.4/6, 0.7/3).
    found = torch.tensor(sample_lu("local", 1500, torch.Generator().manual_seed(0)), dtype=torch.float64)
    corners = torch.tensor([[0, 0], [0, 0.4], [0.2, 0.2]], dtype=torch.float64)
    assert torch.allclose(found.mean(0), corners.mean(0), atol=0.01)
    # Topology: the triangle (0.4, 0.4), (0.4, 0.6), (0.6, 0.6).
    found = torch.tensor(sample_lu("topology", 1500, torch.Generator().manual_seed(0)), dtype=torch.float64)
    assert torch.allclose(found.mean(0), torch.tensor([1.4, 1.6], dtype=torch.float64) / 3, atol=0.01)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="expected 0 <= l <= u <= 1"):
        lu_class(0.5, 0.4)
    with pytest.raises(InputError, match="unknown class of windows 'lokal'; nearest: local"):
        sample_lu("lokal", 1, torch.Generator())
    with pytest.raises(InputError, match="n is 0"):
        sample_lu("local", 0, torch.Generator())
