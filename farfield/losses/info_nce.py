"""Contrastive learning: tell the other view of the same example from views of other examples."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError


class InfoNCE(nn.Module):
    """Mean cross-entropy, in nats, of finding each row's other view among views of other rows, by cosine similarity.

    For a row with similarity s to its own other view and s_j to the negatives: ``-log exp(s / t) / (exp(s / t) + sum_j exp(s_j / t))``.
    What the negatives are:

    - ``negatives`` given to the call (a queue of earlier keys): these alone (MoCo: He et al., CVPR 2020, equation 1).
    - None, and ``both_views``: all other rows of both views, and the mean is over the rows of both (NT-Xent of SimCLR: Chen et
      al., ICML 2020, equation 1).
    - None, and not ``both_views``: the other rows of the second view, and the mean is over the first (van den Oord et al., 2018).

    **Arguments:** ``temperature``: t, above 0; ``normalize``: divide rows by their length first; without it similarity is the inner
    product, and a row of zeros is one like any other (with it, it is at similarity 0 to all).

    Raises InputError on a temperature that is not above 0.

    >>> views = torch.eye(4)
    >>> InfoNCE(temperature=0.1)(views, views)  # log(1 + 6 exp(-10))
    tensor(0.0003)
    """

    def __init__(self, temperature: float = 0.1, *, both_views: bool = True, normalize: bool = True):
        super().__init__()
        if not temperature > 0:
            raise InputError(f"temperature is {temperature}; it must be above 0")
        self.temperature, self.both_views, self.normalize = temperature, both_views, normalize

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], negatives: Float[Tensor, "m d"] | None = None
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        **Arguments:** ``a``, ``b``: two views of the same n examples, row by row; ``negatives``: of other examples.

        Raises InputError on shapes that do not match, and on a single row without negatives, which has nothing to be told from.
        """
        if a.ndim != 2 or a.shape != b.shape or (negatives is not None and negatives.shape[1:] != a.shape[1:]):
            shapes = [tuple(t.shape) for t in (a, b, negatives) if t is not None]
            raise InputError(f"the views have shapes {', '.join(map(str, shapes))}; expected (n, d) twice, then (m, d)")
        if negatives is None and len(a) < 2:
            raise InputError(f"the batch has {len(a)} rows; without negatives at least 2 are needed")
        with torch.autocast(a.device.type, enabled=False):
            a, b = self._rows(a), self._rows(b)
            if negatives is not None:
                own = (a * b).sum(1, keepdim=True)
                logits = torch.cat([own, a @ self._rows(negatives).T], 1) / self.temperature
                return -logits.log_softmax(1)[:, 0].mean()
            rows = torch.arange(len(a), device=a.device)
            if not self.both_views:
                return nn.functional.cross_entropy(a @ b.T / self.temperature, rows)
            views = torch.cat([a, b])
            # A row is no negative of itself.
            logits = (views @ views.T / self.temperature).fill_diagonal_(-torch.inf)
            return nn.functional.cross_entropy(logits, torch.cat([rows + len(a), rows]))

    def _rows(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype.itemsize < 4 else x
        return nn.functional.normalize(x, dim=1) if self.normalize else x
