"""Variance of risks: equal risks in all training domains."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError
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


class VREx(nn.Module):
    """Mean of the domains' mean losses plus ``lam`` times their (population) variance; with one domain, its mean loss.

    **Arguments:** ``lam``: weight of the variance, at least 0; 0 is the mean of the risks.

    Raises InputError on a negative weight.

    Source: Krueger et al., ICML 2021; as used in Zhang & Bottou, ICML 2023.

    >>> import torch
    >>> VREx(10.0)(torch.tensor([1.0, 3.0]), domain=torch.tensor([0, 1]))
    tensor(12.)
    """

    def __init__(self, lam: float):
        super().__init__()
        if not 0 <= lam < float("inf"):
            raise InputError(f"lam is {lam}; it must be at least 0")
        self.lam = lam

    def forward(self, losses: Float[Tensor, " n"], domain: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the loss of a batch; arguments as in `VRExPenalty`."""
        check_rows(domain, losses=losses)
        risks = Domains.of(domain).means(losses)
        return risks.mean() + self.lam * risks.var(correction=0)
