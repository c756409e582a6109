"""Views by kind of input: what changes, by how much, and what does not."""

import pytest
import torch

from farfield.augment import RandomView
from farfield.errors import InputError


def test_images_move_little_and_differ_from_each_other():
    x = torch.zeros(400, 1, 20, 20)
    x[:, :, 8:12, 8:12] = 1.0
    view = RandomView(seed=0)(x)
    assert view.shape == x.shape and view.dtype == x.dtype
    # Away from the square there is only noise of 0.1.
    assert view[:, :, 0].std() == pytest.approx(0.1, rel=0.05)
    at = torch.arange(20.0)
    mass = view.clamp(min=0.4) - 0.4
    centre = (mass.sum((1, 2)) * at).sum(1) / mass.sum((1, 2, 3))
    # A shift of up to a tenth of the side, two pixels, to both sides.
    assert (centre - 9.5).abs().max() < 2.6
    assert centre.std() == pytest.approx(2 / 3**0.5, rel=0.15) and (centre - 9.5).mean().abs() < 0.2


def test_vectors_take_values_of_other_rows_column_by_column():
    x = torch.arange(5000).float()[:, None] + torch.tensor([0.0, 10_000.0])
    view = RandomView(seed=0)(x)
    assert torch.isin(view[:, 0], x[:, 0]).all() and torch.isin(view[:, 1], x[:, 1]).all()
    assert (view != x).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert ((view != x)[:, 0] & (view != x)[:, 1]).float().mean().item() == pytest.approx(0.09, abs=0.015)


def test_tokens_become_padding():
    x = torch.full((200, 30), 7)
    view = RandomView(padding=2, seed=0)(x)
    assert view.dtype == torch.long and set(view.unique().tolist()) == {2, 7}
    assert (view == 2).float().mean().item() == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize("x", [torch.rand(4, 1, 8, 8), torch.rand(4, 3), torch.ones(4, 3, dtype=torch.long)])
def test_strength_zero_changes_nothing_and_seeds_decide(x):
    assert torch.equal(RandomView(strength=0)(x), x)
    a, b, c = RandomView(seed=1), RandomView(seed=1), RandomView(seed=2, strength=3)
    big = x.repeat(20, *[1] * (x.ndim - 1))
    first = a(big)
    assert torch.equal(first, b(big)) and not torch.equal(first, c(big))
    assert not torch.equal(first, a(big))  # draws continue


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="strength is -1"):
        RandomView(strength=-1)
    with pytest.raises(InputError, match=r"x is torch.float32 of shape \(2, 3, 4\)"):
        RandomView()(torch.zeros(2, 3, 4))
