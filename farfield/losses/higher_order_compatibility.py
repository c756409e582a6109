"""The loss that keeps an example near to where the model before put it, away from where that put other classes."""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from farfield.errors import InputError

Masked = Literal["zero", "neg_inf"]


class HOCLoss(nn.Module):
    """``mean_i [-S_ii + ln sum_j exp(S_ij [y_i != y_j])]`` in nats, with ``S_ij = mu cos(old_i, new_j)``.

    Both features are brought to length 1 here; a feature of zeros has cosines of 0. Nothing flows back to the old ones.

    **Arguments:**
    - ``mu``: sharpness, above 0.
    - ``masked``: what becomes of pairs of one class in the sum. "zero", as in the released code: S_ij is set to 0, so
      that each adds exp(0) = 1. "neg_inf": they are left out, as one would expect.
    - ``positive_in_denominator``: let S_ii stand in the sum, as in InfoNCE (the released code does not; its diagonal
      counts as a pair of one class). The loss is then at least 0 where ``masked`` is "neg_inf".

    Raises InputError on a value out of range, shapes that do not match, or a batch of a single class where nothing is
    left to sum.

    Source: Biondi et al., CVPR 2024, section 4 (higher-order compatibility); the form of the released code.

    >>> x = torch.eye(2)
    >>> round(HOCLoss()(x, x, torch.tensor([5, 5])).item(), 4)  # of one class: -mu + ln n
    -9.3069
    """

    def __init__(self, mu: float = 10.0, masked: Masked = "zero", positive_in_denominator: bool = False):
        super().__init__()
        if not mu > 0:
            raise InputError(f"mu is {mu}; it must be above 0")
        if masked not in get_args(Masked):
            raise InputError(f"masked is {masked!r}; expected 'zero' or 'neg_inf'")
        self.mu, self.masked, self.positive_in_denominator = mu, masked, positive_in_denominator

    def forward(
        self, feat_new: Float[Tensor, "n d"], feat_old: Float[Tensor, "n d"], y: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        **Arguments:** ``feat_new``, ``feat_old``: of the same examples by the model in training and the one before;
        ``y``: classes.
        """
        if feat_new.ndim != 2 or feat_new.shape != feat_old.shape or y.shape != feat_new.shape[:1]:
            raise InputError(
                f"feat_new has shape {tuple(feat_new.shape)}, feat_old {tuple(feat_old.shape)}, y {tuple(y.shape)}; "
                "expected (n, d), (n, d) and (n,)"
            )
        similarity = self.mu * normalize(feat_old.detach(), dim=1) @ normalize(feat_new, dim=1).T  # (old, new)
        same = y[:, None] == y[None, :]
        if self.masked == "neg_inf" and not self.positive_in_denominator and bool(same.all()):
            raise InputError("y holds a single class; masked='neg_inf' leaves nothing to compare with then")
        positive = similarity.diagonal()
        fill = 0.0 if self.masked == "zero" else -torch.inf
        summed = similarity.masked_fill(same, fill)
        if self.positive_in_denominator:
            summed = torch.where(torch.eye(len(y), dtype=torch.bool, device=y.device), similarity, summed)
        return (summed.logsumexp(1) - positive).mean()


def compatible_total(ce: Float[Tensor, ""], hoc: Float[Tensor, ""], lam: float = 0.1) -> Float[Tensor, ""]:
    """Return ``lam CE + (1 - lam) HOC``: at the paper's 0.1, HOC carries nine tenths.

    **Arguments:** ``ce``: cross-entropy of features that are not brought to length 1; ``hoc``: of `HOCLoss`; ``lam``:
    from 0 to 1.

    Raises InputError where lam is out of range.

    Source: Biondi et al., CVPR 2024, section 4 (total loss).

    >>> compatible_total(torch.tensor(1.0), torch.tensor(2.0)).item()
    1.899999976158142
    """
    if not 0 <= lam <= 1:
        raise InputError(f"lam is {lam}; it must be from 0 to 1")
    return lam * ce + (1 - lam) * hoc
