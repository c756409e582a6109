"""A fixed classifier whose class vectors are the vertices of a regular simplex, so that classes keep their places."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from farfield.errors import InputError


def simplex_vertices(
    num_classes: int, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Float[Tensor, "classes classes-1"]:
    """Return the K vertices of a regular simplex around 0: rows of length 1 with inner products -1 / (K - 1).

    Made of the rows of ``[I; a 1]``, ``a = (1 - sqrt(K)) / (K - 1)``, which are all as far from each other, moved to
    their mean and brought to length 1. Computed in float64.

    **Arguments:** ``num_classes``: K, at least 2; ``dtype``, ``device`` of the result.

    Raises InputError where K is below 2.

    Source: Biondi et al., CVPR 2024, section 3 (d-Simplex); the construction of the released code.

    >>> w = simplex_vertices(3)
    >>> (w @ w.T).mul(100).round().div(100).tolist()
    [[1.0, -0.5, -0.5], [-0.5, 1.0, -0.5], [-0.5, -0.5, 1.0]]
    """
    if num_classes < 2:
        raise InputError(f"num_classes is {num_classes}; a simplex needs at least 2")
    n = num_classes - 1
    last = torch.full((1, n), (1 - math.sqrt(1 + n)) / n, dtype=torch.float64)
    vertices = torch.cat([torch.eye(n, dtype=torch.float64), last])
    vertices -= vertices.mean(0)
    return (vertices / vertices.norm(dim=1, keepdim=True)).to(dtype=dtype, device=device)


class SimplexClassifier(nn.Module):
    """``logits = z W^T`` without bias, W the K vertices of a regular simplex, which are never trained.

    Models that are trained against the same W put a class at the same place, so features of one can be compared with
    those of another one. For that a class needs one number for good: take K as large as all classes that may ever
    come. Features are not brought to length 1: of length 1 they could not fit many classes (1,024 at best at a
    cross-entropy of 5.93 nats).

    **Arguments:**
    - ``num_classes``: K, at least 2, also for classes to come (the released code has 1,024).
    - ``in_features``: of what comes in; where it is not K - 1, a linear layer without bias is trained in between, the
      junction. None: K - 1 come in. Where K - 1 is much larger, features lie in a subspace, and the simplex is met
      approximately only.

    Raises InputError where K is below 2, or in_features below 1.

    Source: Biondi et al., CVPR 2024, section 3; the junction as in the released code.

    >>> classifier = SimplexClassifier(4, in_features=8)
    >>> classifier(torch.ones(2, 8)).shape, classifier.features(torch.ones(2, 8)).shape
    (torch.Size([2, 4]), torch.Size([2, 3]))
    """

    weight: Tensor

    def __init__(self, num_classes: int, in_features: int | None = None):
        super().__init__()
        self.register_buffer("weight", simplex_vertices(num_classes))
        if in_features is not None and in_features < 1:
            raise InputError(f"in_features is {in_features}; it must be at least 1")
        joined = in_features is None or in_features == num_classes - 1
        self.junction = nn.Identity() if joined else nn.Linear(in_features, num_classes - 1, bias=False)

    @property
    def features(self) -> nn.Module:
        """What turns inputs (n, in_features) into the features z (n, K - 1) that are stored and compared.

        >>> SimplexClassifier(3).features
        Identity()
        """
        return self.junction

    def forward(self, x: Float[Tensor, "n in_features"]) -> Float[Tensor, "n classes"]:
        return linear(self.junction(x), self.weight)
