"""The worst group's loss, and who gets its gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.losses import GroupMax


def test_the_worst_group_alone_gets_a_gradient():
    losses = torch.tensor([0.2, 0.9, 0.4], requires_grad=True)
    value = GroupMax()(losses, torch.eye(3, dtype=torch.bool))
    value.backward()
    assert value.item() == pytest.approx(0.9) and losses.grad.tolist() == [0, 1, 0]


@given(st.lists(st.tuples(st.floats(0, 9), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_is_the_largest_of_the_means_over_overlapping_groups(rows):
    losses = torch.tensor([r[0] for r in rows], dtype=torch.float64)
    members = torch.tensor([r[1:] for r in rows])
    means = [losses[m].mean().item() for m in members.T if m.any()]
    if means:
        assert GroupMax()(losses, members).item() == pytest.approx(max(means))
    else:
        with pytest.raises(InputError, match="none of the 3 groups has a member"):
            GroupMax()(losses, members)


@pytest.mark.parametrize(
    "members", [torch.ones(2, 3, dtype=torch.bool), torch.ones(3, dtype=torch.bool), torch.ones(3, 1)]
)
def test_shapes_that_do_not_match_are_refused(members):
    with pytest.raises(InputError, match="expected \\(n,\\) and \\(n, groups\\) of bool"):
        GroupMax()(torch.ones(3), members)
