"""A classifier by angles: for a few examples of each new class."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from farfield.errors import InputError


class CosineClassifier(nn.Module):
    """Logits ``scale * cos(w_c, x)`` of features x against one vector for each class, without a bias.

    Lengths play no role, so that a class with few examples is not held back by small weights. Features of zeros have logits
    of 0.

    **Arguments:** ``d``: features, ``classes``: outputs, both at least 1; ``scale``: inverse temperature, above 0; ``seed``: of the
    vectors, whose directions are uniform.

    Raises InputError on a value out of range.

    Source: Baseline++ in Chen et al., "A closer look at few-shot classification", ICLR 2019, as used in Zhang & Bottou, ICML 2023.

    >>> classifier = CosineClassifier(2, 2, scale=1.0)
    >>> with torch.no_grad():
    ...     _ = classifier.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 5.0]]))
    >>> classifier(torch.tensor([[3.0, 0.0]])).tolist()
    [[1.0, 0.0]]
    """

    def __init__(self, d: int, classes: int, scale: float = 10.0, *, seed: int = 0):
        super().__init__()
        if d < 1 or classes < 1:
            raise InputError(f"d is {d} and classes {classes}; both must be at least 1")
        if not 0 < scale < float("inf"):
            raise InputError(f"scale is {scale}; it must be above 0")
        self.scale = scale
        self.weight = nn.Parameter(torch.randn(classes, d, generator=torch.Generator().manual_seed(seed)))

    def forward(self, features: Float[Tensor, "... n d"]) -> Float[Tensor, "... n classes"]:
        return self.scale * normalize(features, dim=-1) @ normalize(self.weight, dim=-1).mT
