"""Stay close, in the features of each example, to an earlier representation of it."""

from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError


class AnchorPenalty(nn.Module):
    """``weight * mean_i |f_i - a_i|^2``: squared distance of each example's features to its anchor, summed over dimensions.

    With features of a contrastive representation as anchors it is the individual calibration of RCAL (Zhang et al., ICCV
    2023, section 3.3), which keeps the network from bending to wrong labels. Where inputs are mixed, mix the anchors in the same way
    (`farfield.augment.Mixup` with ``also``). No gradient flows to the anchors.

    **Arguments:** ``weight``: at least 0 (the paper's beta).

    Raises InputError on a negative weight.

    >>> import torch
    >>> AnchorPenalty(0.5)(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.zeros(2, 2))  # 0.5 * (5 + 0) / 2
    tensor(1.2500)
    """

    def __init__(self, weight: float = 1.0):
        super().__init__()
        if not weight >= 0:
            raise InputError(f"weight is {weight}; it must be at least 0")
        self.weight = weight

    def forward(self, features: Float[Tensor, "n d"], anchors: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """Return the penalty of a batch.

        Raises InputError where the shapes differ.
        """
        if features.shape != anchors.shape or features.ndim != 2:
            raise InputError(
                f"features has shape {tuple(features.shape)} and anchors {tuple(anchors.shape)}; expected (n, d) twice"
            )
        return self.weight * (features - anchors.detach()).square().sum(1).mean()
