import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.losses import GroupDRO

LOSSES, DOMAIN = torch.tensor([1.0, 3.0, 4.0]), torch.tensor([0, 0, 1])


def test_first_update_by_hand():
    loss = GroupDRO(2, eta=math.log(3.0) / 2)
    # Group losses 2 and 4: the weights go from (1/2, 1/2) to (3, 9) / 12.
    value = loss(LOSSES, DOMAIN)
    assert torch.allclose(loss.weights, torch.tensor([0.25, 0.75]))
    assert torch.allclose(value, torch.tensor(0.25 * 2 + 0.75 * 4))


def test_second_update_multiplies_the_first():
    loss = GroupDRO(2, eta=math.log(3.0) / 2)
    loss(LOSSES, DOMAIN)
    loss(torch.tensor([4.0, 2.0]), torch.tensor([0, 1]))  # (3, 9) times (9, 3) is (27, 27)
    assert torch.allclose(loss.weights, torch.tensor([0.5, 0.5]))


def test_eta_zero_is_the_mean_of_the_group_losses():
    loss = GroupDRO(2, eta=0.0)
    assert loss(LOSSES, DOMAIN) == 3.0
    assert loss.weights.tolist() == [0.5, 0.5]


def test_gradient_is_the_weight_over_the_group_size():
    loss, losses = GroupDRO(2, eta=math.log(3.0) / 2), LOSSES.clone().requires_grad_()
    loss(losses, DOMAIN).backward()
    assert torch.allclose(losses.grad, torch.tensor([0.125, 0.125, 0.75]))


def test_an_absent_group_keeps_its_weight_relative_to_a_group_of_loss_zero():
    loss = GroupDRO(3, eta=1.0)
    loss(torch.tensor([0.0, 2.0]), torch.tensor([0, 2]))
    expected = torch.tensor([1.0, 1.0, math.exp(2.0)])
    assert torch.allclose(loss.weights, expected / expected.sum())


@given(st.permutations(range(6)), st.floats(0, 2))
def test_the_order_of_the_batch_does_not_matter(order, eta):
    losses, domain = torch.tensor([0.5, 2.0, 0.0, 1.0, 7.0, 3.0]), torch.tensor([0, 2, 1, 1, 2, 0])
    a, b = GroupDRO(3, eta=eta), GroupDRO(3, eta=eta)
    assert torch.allclose(a(losses, domain), b(losses[order], domain[order]))
    assert torch.allclose(a.weights, b.weights)


def test_the_weights_stay_in_evaluation_mode_and_travel_with_the_state():
    loss = GroupDRO(2, eta=1.0)
    loss(LOSSES, DOMAIN)
    other = GroupDRO(2, eta=1.0).eval()
    other.load_state_dict(loss.state_dict())
    other(LOSSES, DOMAIN)
    assert torch.equal(other.weights, loss.weights)


def test_huge_losses_do_not_overflow():
    loss = GroupDRO(2, eta=1.0)
    assert loss(torch.tensor([0.0, 1e4]), torch.tensor([0, 1])) == 1e4


@pytest.mark.parametrize("domain, came", [([0, 2], 2), ([-1, 0], -1)])
def test_a_group_out_of_range_is_named(domain, came):
    with pytest.raises(InputError, match=f"domain holds {came}; expected 0..1"):
        GroupDRO(2)(torch.zeros(2), torch.tensor(domain))


@pytest.mark.parametrize("settings", [{"groups": 0}, {"groups": 2, "eta": -1.0}, {"groups": 2, "eta": math.nan}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError):
        GroupDRO(**settings)
