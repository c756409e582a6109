"""Correlation alignment: the same means and covariances of the features in every domain."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.losses._domains import Domains, check_rows, full_precision, mean_pair_distance


class CoralPenalty(nn.Module):
    """Squared differences of feature means and covariances, averaged over the pairs of domains.

    For a pair: ``mean_i (m_a[i] - m_b[i])^2 + mean_ij (C_a[i, j] - C_b[i, j])^2`` with covariances over ``n - 1``. This is
    DomainBed's normalisation (means over the d dimensions and the d x d entries) and its added difference of means; Sun &
    Saenko (ECCV workshops 2016, equation 1) have the covariance term alone, over ``4 d^2`` in place of ``d^2``.

    The covariances are never formed: with the inner products of the n examples the cost is ``n^2 d`` and the memory
    ``n^2``, whatever the width. The covariance of a domain with a single example counts as 0.

    >>> import torch
    >>> features = torch.tensor([[0.0], [2.0], [0.0], [4.0]])
    >>> CoralPenalty()(features, domain=torch.tensor([0, 0, 1, 1]))  # (1 - 2)^2 + (2 - 8)^2
    tensor(37.)
    """

    def forward(self, features: Float[Tensor, "n d"], domain: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the penalty of a batch.

        **Arguments:** ``features``; ``domain``: domain of each example, any integers.

        Raises InputError on rows that do not match.
        """
        check_rows(domain, features=features)
        with full_precision(features):
            features = features.float() if features.dtype.itemsize < 4 else features
            domains = Domains.of(domain)
            # Centred on the whole batch first: differences of large means would lose their digits.
            centred = features - features.mean(0)
            means = domains.means(centred)  # (m, d)
            within = centred - means[domains.index]  # (n, d)
            # <C_a, C_b> = sum over i in a, j in b of <x_i, x_j>^2, over (n_a - 1) (n_b - 1).
            spread = domains.counts / (domains.counts - 1).clamp(min=1)
            covariances = domains.block_means((within @ within.T).square()) * spread[:, None] * spread  # (m, m)
            width = features.shape[1]
            return mean_pair_distance(means @ means.T / width + covariances / width**2)
