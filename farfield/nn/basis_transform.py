"""The head of a new model whose vectors match those of an old one, and lose nothing of its own."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from farfield.errors import InputError
from farfield.nn.orthogonal import OrthogonalLinear


@dataclass(frozen=True)
class BasisTransformed:
    """What a `BasisTransformHead` makes of a batch.

    **Fields:** ``logits`` (n, classes), None of a head without classes; ``feature``: f (n, d_new), length 1, to be the
    new model's own; ``compatible`` (n, d_old): to be compared with the old gallery; ``embedding``: z (n, extra_dims +
    d_new), whose first d_old coordinates are ``compatible``.

    >>> head = BasisTransformHead(4, d_new=3, d_old=2, num_classes=None, extra_dims=1)
    >>> found = head(torch.ones(1, 4))
    >>> found.logits is None, found.compatible.shape, found.embedding.shape
    (True, torch.Size([1, 2]), torch.Size([1, 4]))
    """

    logits: Float[Tensor, "n classes"] | None
    feature: Float[Tensor, "n d_new"]
    compatible: Float[Tensor, "n d_old"]
    embedding: Float[Tensor, "n dims"]


class BasisTransformHead(nn.Module):
    """A few dimensions for the old space beside the new feature, mixed by learned rotations that lose no information.

    From h (d_new + d_old): ``f`` = its first d_new coordinates, at length 1; ``psi`` = the first a coordinates of an
    affine map of relu(h) to d_old, at length 1 before and after the cut; ``u = [psi; C P f]``;
    ``compatible = Q u[:d_old]``, and the embedding is ``z = [compatible; u[d_old:]]``. P and Q are orthogonal, so
    ``|z|^2 = 1 + C^2`` (C^2 where a = 0) and ``<z, z'> = <psi, psi'> + C^2 <f, f'>``. Classes are read from f alone:
    ``logits = logit_scale f W^T``.

    **Arguments:**
    - ``in_features``: of the input. Where it is not d_new + d_old, a linear layer to that many comes first.
    - ``d_new``, ``d_old``: dimensions of the new and the old model's embeddings.
    - ``num_classes``: None for a head that tells no classes.
    - ``extra_dims``: a, from 0 to d_old, and d_old at most a + d_new.
    - ``scale``: C, how much the new feature counts beside the old space, above 0.
    - ``logit_scale``: above 0; the released code has none (1), and unit features then start from a flat softmax.

    A row whose f or psi is all zeros keeps zeros there. Raises InputError on a size or a scale out of range, and on
    inputs of another width.

    Source: Zhou et al., ICCV 2023, section 3.3 and the released code (ResNet_ortho). Differs from it in the projection
    of inputs of any width: there the backbone itself ends in d_new + d_old channels.

    >>> head = BasisTransformHead(64, d_new=16, d_old=16, num_classes=10, extra_dims=4)
    >>> z = head(torch.ones(2, 64)).embedding
    >>> z.shape, z.square().sum(1).round(decimals=3).tolist()
    (torch.Size([2, 20]), [5.0, 5.0])
    """

    def __init__(
        self,
        in_features: int,
        d_new: int,
        d_old: int,
        num_classes: int | None,
        extra_dims: int = 32,
        scale: float = 2.0,
        logit_scale: float = 1.0,
    ):
        super().__init__()
        sizes = {"in_features": in_features, "d_new": d_new, "d_old": d_old}
        for name, value in sizes.items() if num_classes is None else (sizes | {"num_classes": num_classes}).items():
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        if not max(0, d_old - d_new) <= extra_dims <= d_old:
            raise InputError(
                f"extra_dims is {extra_dims}; for {d_old} old and {d_new} new dimensions it must be from "
                f"{max(0, d_old - d_new)} to {d_old}"
            )
        for name, value in {"scale": scale, "logit_scale": logit_scale}.items():
            if not value > 0:
                raise InputError(f"{name} is {value}; it must be above 0")
        self.in_features, self.d_new, self.d_old, self.extra_dims = in_features, d_new, d_old, extra_dims
        self.scale, self.logit_scale = scale, logit_scale
        width = d_new + d_old
        self.project = nn.Identity() if in_features == width else nn.Linear(in_features, width)
        self.to_old = nn.Linear(width, d_old)
        self.new_basis: nn.Module = OrthogonalLinear(d_new)  # P
        self.old_basis: nn.Module = OrthogonalLinear(d_old)  # Q
        self.classifier = None if num_classes is None else nn.Linear(d_new, num_classes, bias=False)

    def forward(self, x: Float[Tensor, "n in_features"]) -> BasisTransformed:
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise InputError(f"the input has shape {tuple(x.shape)}; expected (n, {self.in_features})")
        h = self.project(x)
        feature = normalize(h[:, : self.d_new], dim=1)
        psi = normalize(self.to_old(h.relu()), dim=1)[:, : self.extra_dims]
        u = torch.cat([normalize(psi, dim=1), self.scale * self.new_basis(feature)], dim=1)
        compatible = self.old_basis(u[:, : self.d_old])
        logits = None if self.classifier is None else self.logit_scale * self.classifier(feature)
        return BasisTransformed(logits, feature, compatible, torch.cat([compatible, u[:, self.d_old :]], dim=1))

    def orthogonality_error(self) -> float:
        """Return the larger error of P and Q, see `OrthogonalLinear.orthogonality_error`.

        >>> BasisTransformHead(4, 2, 2, None, extra_dims=1).orthogonality_error() < 1e-5
        True
        """
        bases = [b for b in (self.new_basis, self.old_basis) if isinstance(b, OrthogonalLinear)]
        return max((basis.orthogonality_error() for basis in bases), default=0.0)
