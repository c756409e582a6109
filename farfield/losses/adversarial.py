"""Domain-adversarial training: features from which a discriminator cannot tell the domain."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.losses._domains import check_rows


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return -ctx.strength * gradient, None


def gradient_reversal(x: Tensor, strength: float = 1.0) -> Tensor:
    """Return ``x`` as it is, with its gradient multiplied by ``-strength`` on the way back.

    Source: Ganin et al., JMLR 2016, section 4.2.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> gradient_reversal(2 * x, strength=0.5).backward()
    >>> x.grad
    tensor(-1.)
    """
    return _Reversal.apply(x, strength)


def reversal_strength(progress: float) -> float:
    """Return how strongly to reverse after this share of the training, ``2 / (1 + exp(-10 p)) - 1``: from 0 to almost 1.

    **Arguments:** ``progress``: share of the training that is done, 0 to 1.

    Source: Ganin et al., JMLR 2016, section 5.2.

    >>> reversal_strength(0.0), round(reversal_strength(0.1), 4)
    (0.0, 0.4621)
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


class DomainAdversarial(nn.Module):
    """Cross-entropy of a domain discriminator whose gradient is reversed at the features.

    Minimising it trains the discriminator to tell the domains apart and, at the same time, the features to prevent that
    (DANN: Ganin et al., JMLR 2016). Give the discriminator's parameters to the optimizer too.

    **Arguments:** ``discriminator``: features ``(n, d)`` -> logits ``(n, domains)``.

    >>> discriminator = nn.Linear(2, 3)
    >>> loss = DomainAdversarial(discriminator)(torch.zeros(4, 2), torch.tensor([0, 1, 2, 0]), strength=0.5)
    >>> loss.shape
    torch.Size([])
    """

    def __init__(self, discriminator: nn.Module):
        super().__init__()
        self.discriminator = discriminator

    def forward(
        self, features: Float[Tensor, "n d"], domain: Int[Tensor, " n"], strength: float = 1.0
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        **Arguments:** ``features``; ``domain``: domain of each example, 0..domains-1; ``strength``: factor on the reversed
        gradient, which the discriminator's own gradient does not have.

        Raises InputError on rows that do not match.
        """
        check_rows(domain, features=features)
        return nn.functional.cross_entropy(self.discriminator(gradient_reversal(features, strength)), domain)
