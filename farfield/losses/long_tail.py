"""Cross-entropy where classes differ in size: adjusted by how common a class is, or with wider margins for rare ones."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError


class LogitAdjustedLoss(nn.Module):
    """Cross-entropy of logits to which ``tau * log(share of the class)`` is added, so that rare classes need a lead.

    What the model then predicts by its logits alone is right for classes that are all as common as each other (Menon et al., ICLR 2021,
    equation 10).

    **Arguments:** ``counts`` (K,): training rows of each class, above 0; ``tau``: 1 is consistent for balanced accuracy, 0 is cross-entropy.

    Raises InputError where a count is not above 0.

    >>> loss = LogitAdjustedLoss(torch.tensor([9, 1]))
    >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log 0.1
    tensor(2.3026)
    """

    adjustment: Float[Tensor, " k"]

    def __init__(self, counts: Int[Tensor, " k"], *, tau: float = 1.0):
        super().__init__()
        shares = _positive(counts)
        self.register_buffer("adjustment", (tau * (shares / shares.sum()).log()).float())

    def forward(self, logits: Float[Tensor, "n k"], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        return nn.functional.cross_entropy(logits + self.adjustment, y)


class LDAMLoss(nn.Module):
    """Cross-entropy after the logit of the right class was lowered by a margin that is wide for rare classes.

    ``margin_k = max_margin * (n_min / n_k)^(1/4)``; logits are taken times ``scale`` after that (Cao et al., NeurIPS 2019, equations 12
    and 13). The margins suit cosines as logits: `farfield.nn.CosineClassifier` with a scale of 1. Its deferred re-weighting gives ``weight``
    to the call in the last part of the training.

    **Arguments:** ``counts`` (K,): training rows of each class, above 0; ``max_margin``: of the rarest class, at least 0; ``scale``: above 0.

    Raises InputError where a count is not above 0, and on a margin or scale out of range.

    >>> loss = LDAMLoss(torch.tensor([16, 1]), max_margin=0.5, scale=1.0)
    >>> loss.margins.tolist()
    [0.25, 0.5]
    """

    margins: Float[Tensor, " k"]

    def __init__(self, counts: Int[Tensor, " k"], *, max_margin: float = 0.5, scale: float = 30.0):
        super().__init__()
        if not max_margin >= 0 or not scale > 0:
            raise InputError(f"max_margin is {max_margin} and scale {scale}; expected at least 0, and above 0")
        sizes = _positive(counts)
        self.scale = scale
        self.register_buffer("margins", (max_margin * (sizes.min() / sizes) ** 0.25).float())

    def forward(
        self, logits: Float[Tensor, "n k"], y: Int[Tensor, " n"], weight: Float[Tensor, " k"] | None = None
    ) -> Float[Tensor, ""]:
        lowered = logits - self.margins * nn.functional.one_hot(y, len(self.margins))
        return nn.functional.cross_entropy(self.scale * lowered, y, weight=weight)


def effective_weights(counts: Int[Tensor, " k"], *, beta: float = 0.9999) -> Float[Tensor, " k"]:
    """Return class weights ``(1 - beta) / (1 - beta^n_k)``, scaled to a mean of 1 (Cui et al., CVPR 2019, equation 4).

    **Arguments:** ``counts`` (K,): above 0; ``beta``: in [0, 1); 0 weighs all alike, and towards 1 weights go as 1 / n_k.

    Raises InputError where a count is not above 0, or on beta out of range.

    >>> effective_weights(torch.tensor([1, 2]), beta=0.5)  # 0.5 / 0.5 and 0.5 / 0.75
    tensor([1.2000, 0.8000])
    """
    if not 0 <= beta < 1:
        raise InputError(f"beta is {beta}; it must be at least 0 and below 1")
    weights = (1 - beta) / (1 - beta ** _positive(counts))
    return (weights / weights.mean()).float()


def _positive(counts: Tensor) -> Tensor:
    sizes = torch.as_tensor(counts).double()
    if sizes.ndim != 1 or not (sizes > 0).all():
        raise InputError(f"counts is {sizes.tolist()}; expected (k,) numbers above 0")
    return sizes
