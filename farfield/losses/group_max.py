"""The loss of the group that does worst: distributionally robust optimisation over groups that may overlap."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from farfield.errors import InputError


class GroupMax(nn.Module):
    """The largest of the groups' mean losses.

    Unlike in `GroupDRO`, an example may be in several groups, nothing is averaged over time, and only the worst group gets a
    gradient. Groups without an example in the batch are left out.

    The call takes ``losses`` (n,) and ``members`` (n, groups), True where an example is in a group, and returns a scalar.

    Raises InputError on shapes that do not match, or where no group has a member.

    Source: Zhang, Lopez-Paz, Bottou, ICML 2022 (the rounds after the first).

    >>> GroupMax()(torch.tensor([0.2, 0.9, 0.4]), torch.eye(3, dtype=torch.bool))
    tensor(0.9000)
    """

    def forward(self, losses: Float[Tensor, " n"], members: Bool[Tensor, "n groups"]) -> Float[Tensor, ""]:
        if losses.ndim != 1 or members.ndim != 2 or len(members) != len(losses) or members.dtype != torch.bool:
            raise InputError(
                f"losses has shape {tuple(losses.shape)} and members {tuple(members.shape)} of {members.dtype}; "
                "expected (n,) and (n, groups) of bool"
            )
        counts = members.sum(0)
        if not counts.any():
            raise InputError(f"none of the {members.shape[1]} groups has a member; expected at least one that does")
        members = members[:, counts > 0]
        means = members.to(losses.dtype).T @ losses / members.sum(0)  # (groups,)
        return means.max()
