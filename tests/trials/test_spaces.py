import pytest
import torch

from farfield.trials.spaces import SPACES, home, view


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("space", ["relative", "centered", "procrustes"])
def test_a_rotation_disappears(space):
    x, q = draw(20, 4), torch.linalg.qr(draw(4, 4, seed=1))[0]
    mine = view(space, x @ q, (x @ q)[:8], x[:8])
    torch.testing.assert_close(mine, view(home(space), x, x[:8], x[:8]))


def test_shuffled_anchors_are_the_same_columns_in_another_order():
    x = draw(20, 4)
    relative, shuffled = (view(s, x, x[:8], x[:8], seed=3) for s in ("relative", "shuffled"))
    assert not torch.allclose(relative, shuffled)
    torch.testing.assert_close(relative.sort(1)[0], shuffled.sort(1)[0])
    assert not torch.equal(shuffled, view("shuffled", x, x[:8], x[:8], seed=4))


def test_layernorm_standardises_each_code():
    found = view("layernorm", draw(5, 30), draw(2, 30), draw(2, 30))
    torch.testing.assert_close(found.mean(1), torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(found.std(1, unbiased=False), torch.ones(5, dtype=torch.float64), rtol=1e-3, atol=0)


def test_every_space_has_a_home_that_is_its_own():
    assert all(home(home(s)) == home(s) and home(s) in SPACES for s in SPACES)
