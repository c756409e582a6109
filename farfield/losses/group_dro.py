"""Group distributionally robust optimisation: weigh the groups by how badly they do."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.losses._domains import check_rows


class GroupDRO(nn.Module):
    """Weighted sum of the groups' mean losses, with weights that grow for the groups whose loss is high.

    Each call in training mode multiplies the weight of a group by ``exp(eta * its loss)`` and normalises, then returns
    ``sum_g q_g * loss_g`` with the new weights (Sagawa et al., ICLR 2020, Algorithm 1, all groups of a batch at once as in
    the official code). In evaluation mode the weights stay as they are. A group that is absent from the batch counts with
    a loss of 0.

    **Arguments:**
    - ``groups``: number m of groups, at least 1.
    - ``eta``: step size of the weights, at least 0; 0 keeps them equal.

    **State:** ``weights`` (m,), positive, sum 1; it starts equal and is saved with the module.

    >>> loss = GroupDRO(2, eta=1.0)
    >>> loss(torch.tensor([0.0, 1.0]), torch.tensor([0, 1]))
    tensor(0.7311)
    >>> loss.weights
    tensor([0.2689, 0.7311])
    """

    def __init__(self, groups: int, *, eta: float = 0.01):
        super().__init__()
        if groups < 1:
            raise InputError(f"groups is {groups}; it must be at least 1")
        if not eta >= 0:
            raise InputError(f"eta is {eta}; it must be at least 0")
        self.eta = eta
        self.weights: Tensor
        self.register_buffer("weights", torch.full((groups,), 1 / groups))

    def forward(self, losses: Float[Tensor, " n"], domain: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the weighted loss of a batch.

        **Arguments:** ``losses``: loss of each example; ``domain``: group of each example, 0..m-1.

        Raises InputError on a group outside 0..m-1 or rows that do not match.
        """
        check_rows(domain, losses=losses)
        groups = len(self.weights)
        lowest, highest = (int(v) for v in domain.aminmax())
        if lowest < 0 or highest >= groups:
            raise InputError(f"domain holds {lowest if lowest < 0 else highest}; expected 0..{groups - 1}")
        members = (domain == torch.arange(groups, device=domain.device)[:, None]).to(losses.dtype)  # (m, n)
        group_losses = (members * losses).sum(1) / members.sum(1).clamp(min=1)  # (m,)
        if self.training:
            # softmax(log q + eta * loss) is q * exp(eta * loss), normalised, and does not overflow.
            raised = self.weights.log() + self.eta * group_losses.detach().to(self.weights.dtype)
            self.weights.copy_(raised.softmax(0))
        return (self.weights * group_losses).sum()
