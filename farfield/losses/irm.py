"""Invariant risk minimisation: one classifier that is optimal in every domain at once."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.losses._domains import Domains, check_rows


class IRMPenalty(nn.Module):
    """Mean over domains of the squared slope of the domain's risk along a scale of the logits, at scale 1.

    ``penalty = mean_e (d/dw R_e(w * logits) at w = 1)^2`` with cross-entropy risks (IRMv1: Arjovsky et al., 2019, section
    3.1). It is zero where no domain would gain from scaling the logits.

    **Arguments:** ``unbiased``: the square of a small batch's slope overestimates the square of the expected slope by its
    variance. True estimates the latter without bias, by the mean of ``g_i * g_j`` over all pairs of different examples of
    a domain: the mean of DomainBed's product of the slopes of two half batches, over all ways to halve. A domain with a
    single example then counts as 0. The estimate may be negative, and training on few examples many times can lower it
    without end by raising the variance of the slopes: use it where examples are plenty.

    >>> import torch
    >>> logits, y = torch.tensor([[1.0, -1.0], [1.0, -1.0]]), torch.tensor([0, 1])
    >>> IRMPenalty()(logits, y, domain=torch.tensor([0, 1]))  # slopes -0.2384 and 1.7616
    tensor(1.5800)
    """

    def __init__(self, *, unbiased: bool = False):
        super().__init__()
        self.unbiased = unbiased

    def forward(
        self, logits: Float[Tensor, "n classes"], y: Int[Tensor, " n"], domain: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """Return the penalty of a batch.

        **Arguments:** ``logits``; ``y``: class indices; ``domain``: domain of each example, any integers.

        Raises InputError on rows that do not match.
        """
        check_rows(domain, logits=logits, y=y)
        # The slope of -log softmax(w z)[y] at w = 1 is <softmax(z), z> - z[y]: no second backward pass is needed.
        logits = logits.float() if logits.dtype.itemsize < 4 else logits
        slopes = (logits.softmax(1) * logits).sum(1) - logits.gather(1, y[:, None])[:, 0]  # (n,)
        domains = Domains.of(domain)
        means = domains.means(slopes)  # (m,)
        if not self.unbiased:
            return means.square().mean()
        n = domains.counts
        pairs = (n * means.square() - domains.means(slopes.square())) / (n - 1).clamp(min=1)
        return pairs.where(n > 1, 0).mean()
