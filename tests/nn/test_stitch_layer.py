import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.measure import sparse_map
from farfield.nn import StitchLayer


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_it_is_one_linear_map_at_every_position():
    layer = StitchLayer.of(draw(5, 3), draw(5, seed=1))
    maps = draw(2, 3, 4, 6, seed=2)
    by_position = torch.stack(
        [layer.weight @ maps[i, :, y, x] + layer.bias for i in range(2) for y in range(4) for x in range(6)]
    ).view(2, 4, 6, 5)
    torch.testing.assert_close(layer(maps), by_position.permute(0, 3, 1, 2))
    torch.testing.assert_close(layer(maps.permute(0, 2, 3, 1).flatten(1, 2)), by_position.flatten(1, 2))
    torch.testing.assert_close(layer(maps[:, :, 0, 0]), by_position[:, 0, 0])


def test_it_starts_small_from_its_seed_alone():
    layer = StitchLayer(200, 300)
    assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.02) and not layer.bias.any()
    state = torch.get_rng_state()
    assert torch.equal(layer.weight, StitchLayer(200, 300).weight)
    assert not torch.equal(layer.weight, StitchLayer(200, 300, seed=1).weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_joins_frozen_halves_and_learns_between_them():
    # The second half reads units in another order; only the stitch can put that right.
    before, after, order = nn.Linear(4, 6), nn.Linear(6, 2), torch.tensor([3, 0, 5, 1, 4, 2])
    for parameter in (*before.parameters(), *after.parameters()):
        parameter.requires_grad_(False)
    x = draw(300, 4)
    wanted = after(before(x)[:, order])
    stitch = StitchLayer.of(*sparse_map(before(x), before(x)[:, order], 0.0).affine())
    torch.testing.assert_close(after(stitch(before(x))), wanted, atol=1e-4, rtol=0)
    learned = StitchLayer(6, 6)
    optimizer = torch.optim.Adam(learned.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        (after(learned(before(x))) - wanted).square().mean().backward()
        optimizer.step()
    assert float((after(learned(before(x))) - wanted).detach().square().mean()) < 1e-4
    assert before.weight.grad is None and after.weight.grad is None


def test_the_penalty_is_of_the_weights_alone():
    layer = StitchLayer.of(torch.tensor([[1.0, -2.0], [0.5, 0.0]]), torch.tensor([10.0, 10.0]))
    penalty = layer.l1()
    penalty.backward()
    assert penalty.item() == 3.5 and layer.bias.grad is None
    assert layer.weight.grad.tolist() == [[1.0, -1.0], [1.0, 0.0]]


def test_its_state_goes_into_another_one():
    layer, other = StitchLayer(3, 2), StitchLayer(3, 2, seed=9)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(draw(4, 3)), layer(draw(4, 3)))
    assert repr(layer) == "StitchLayer(3, 2)"


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="d_out is 0"):
        StitchLayer(2, 0)
    with pytest.raises(InputError, match=r"expected \(d_out, d_in\) and \(d_out,\)"):
        StitchLayer.of(torch.ones(2, 3), torch.ones(3))
    for shape in ((4,), (4, 2), (4, 2, 5, 3), (4, 3, 2)):
        with pytest.raises(InputError, match="with d = 3"):
            StitchLayer(3, 2)(torch.zeros(shape))
