"""Linear classifiers on features, as they start before they are trained."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError


class BNLinearProbe(nn.Module):
    """Batch normalisation and a linear layer: the probe for features whose scales differ, such as those of several networks.

    **Arguments:** ``d``: features, ``classes``: outputs, both at least 1; ``seed``: of the weights, which are drawn from
    N(0, 0.01^2); the bias is 0.

    In training mode it standardises by the batch, so a batch needs two rows. It breaks the start from the mean of several
    networks' logits (`farfield.reuse.Cat.head_from`), which needs a plain linear layer.

    Raises InputError on sizes below 1.

    Source: Zhang & Bottou, ICML 2023 (linear probing; RegLog in the released code).

    >>> probe = BNLinearProbe(8, 3)
    >>> probe(torch.zeros(4, 8)).shape, len(probe.parameter_groups(1e-3))
    (torch.Size([4, 3]), 2)
    """

    def __init__(self, d: int, classes: int, *, seed: int = 0):
        super().__init__()
        if d < 1 or classes < 1:
            raise InputError(f"d is {d} and classes {classes}; both must be at least 1")
        self.norm = nn.BatchNorm1d(d)
        self.linear = plain_head(d, classes, seed=seed)

    def forward(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        return self.linear(self.norm(features))

    def parameter_groups(self, weight_decay: float) -> list[dict]:
        """Return the groups for an optimizer: weight decay for the linear layer, none for batch normalisation."""
        return [
            {"params": list(self.linear.parameters()), "weight_decay": weight_decay},
            {"params": list(self.norm.parameters()), "weight_decay": 0.0},
        ]


def plain_head(d: int, classes: int, *, seed: int = 0) -> nn.Linear:
    """Return a linear layer with weights from N(0, 0.01^2), drawn from ``seed``, and bias 0.

    >>> float(plain_head(4, 2).bias.detach().abs().max())
    0.0
    """
    head = nn.utils.skip_init(nn.Linear, d, classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.weight.copy_(0.01 * torch.randn(classes, d, generator=generator))
        head.bias.zero_()
    return head
