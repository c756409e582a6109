"""Maximum mean discrepancy: the same distribution of the features in every domain."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.losses._domains import Domains, check_rows, full_precision, mean_pair_distance

# DomainBed's bandwidths, the inverse of the kernel's squared width.
GAMMAS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


class MMDPenalty(nn.Module):
    """Squared maximum mean discrepancy of the features, averaged over the pairs of domains.

    For a pair: ``mean k(a, a') + mean k(b, b') - 2 mean k(a, b)`` with ``k(x, y) = sum_g exp(-g |x - y|^2)``, each mean over
    all pairs of examples, those of an example with itself included (the V-statistic, as in DomainBed). Source: Li
    et al., CVPR 2018; Gretton et al., JMLR 2012, equation 5.

    **Arguments:** ``gammas``: the kernels' ``g``, each above 0.

    >>> import torch
    >>> penalty = MMDPenalty(gammas=[1.0])
    >>> penalty(torch.tensor([[0.0], [1.0]]), domain=torch.tensor([0, 1]))  # 2 - 2 exp(-1)
    tensor(1.2642)
    """

    def __init__(self, *, gammas: Sequence[float] = GAMMAS):
        super().__init__()
        if not gammas or not all(g > 0 for g in gammas):
            raise InputError(f"gammas is {list(gammas)}; expected numbers above 0, at least one")
        self.gammas = tuple(gammas)

    def forward(self, features: Float[Tensor, "n d"], domain: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the penalty of a batch.

        **Arguments:** ``features``; ``domain``: domain of each example, any integers.

        Raises InputError on rows that do not match.
        """
        check_rows(domain, features=features)
        with full_precision(features):
            features = features.float() if features.dtype.itemsize < 4 else features
            # Distances do not change with the origin; at the batch's centre they lose the fewest digits.
            centred = features - features.mean(0)
            squares = centred.square().sum(1)
            distances = (squares[:, None] + squares - 2 * centred @ centred.T).clamp(min=0)  # (n, n)
            gammas = distances.new_tensor(self.gammas)
            kernel = (-gammas[:, None, None] * distances).exp().sum(0)  # (n, n)
            return mean_pair_distance(Domains.of(domain).block_means(kernel))
