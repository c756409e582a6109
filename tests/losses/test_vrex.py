import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.losses import VREx, VRExPenalty

finite = st.floats(-100, 100)


def test_two_domains_by_hand():
    losses = torch.tensor([1.0, 3.0, 6.0], requires_grad=True)
    penalty = VRExPenalty()(losses, torch.tensor([0, 0, 1]))  # risks 2 and 6: variance 4
    penalty.backward()
    assert penalty == 4
    # d/dR = R - mean R = (-2, 2), shared out over two examples and one.
    assert losses.grad.tolist() == [-1.0, -1.0, 2.0]


@given(st.lists(finite, min_size=6, max_size=6), finite)
def test_adding_a_constant_to_all_risks_changes_nothing(losses, constant):
    losses, domain = torch.tensor(losses, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
    assert torch.allclose(VRExPenalty()(losses, domain), VRExPenalty()(losses + constant, domain), atol=1e-9)


@given(st.lists(finite, min_size=6, max_size=6), st.permutations(range(6)))
def test_order_and_names_of_domains_do_not_matter(losses, order):
    losses, domain = torch.tensor(losses, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 2])
    renamed = torch.tensor([5, -1, 3])[domain]
    assert torch.allclose(VRExPenalty()(losses, domain), VRExPenalty()(losses[order], renamed[order]))


def test_sizes_of_domains_do_not_matter():
    few = VRExPenalty()(torch.tensor([1.0, 5.0]), torch.tensor([0, 1]))
    many = VRExPenalty()(torch.tensor([1.0, 1.0, 1.0, 5.0]), torch.tensor([0, 0, 0, 1]))
    assert few == many == 4


def test_one_domain_has_no_variance():
    assert VRExPenalty()(torch.tensor([1.0, 5.0]), torch.tensor([3, 3])) == 0


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(InputError, match="losses has 2 rows but domain has 3"):
        VRExPenalty()(torch.zeros(2), torch.zeros(3, dtype=torch.long))


def test_the_whole_loss_is_the_mean_risk_plus_lam_times_the_population_variance():
    losses, domain = torch.tensor([1.0, 3.0, 1.0]), torch.tensor([0, 1, 0])
    # Risks 1 and 3: mean 2, variance 1.
    assert VREx(0.7)(losses, domain).item() == pytest.approx(2.7)
    assert VREx(0.7)(losses, domain).item() == pytest.approx(2 + 0.7 * VRExPenalty()(losses, domain).item())
    assert VREx(0.7)(losses, torch.zeros(3, dtype=torch.long)).item() == pytest.approx(losses.mean().item())
    assert VREx(0.0)(losses, domain).item() == pytest.approx(2)
    with pytest.raises(InputError, match="lam is -1"):
        VREx(-1.0)
