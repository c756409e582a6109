"""Variance of risks: equal risks in all training domains."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.losses._domains import Domains, check_rows


class VRExPenalty(nn.Module):
    """Variance of the domains' mean losses, ``mean_e (R_e - mean R)^2`` (V-REx: Krueger et al., ICML 2021).

    As in DomainBed it goes with the mean of the risks; the paper's objective has their sum.

    >>> import torch
    >>> VRExPenalty()(torch.tensor([1.0, 3.0, 5.0]), domain=torch.tensor([0, 0, 1]))
    tensor(2.2500)
    """

    def forward(self, losses: Float[Tensor, " n"], domain: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the penalty of a batch.

        **Arguments:** ``losses``: loss of each example; ``domain``: domain of each example, any integers.

        Raises InputError on rows that do not match.
        """
        check_rows(domain, losses=losses)
        return Domains.of(domain).means(losses).var(correction=0)
