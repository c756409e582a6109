"""Relative representations: each example by its similarities to fixed anchor examples, encoded by the same encoder."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from farfield.errors import InputError, unknown_name
from farfield.nn.running_stats import disable_running_stats

SIMILARITIES = ("cosine", "dot", "euclidean", "basis")
NORMS = ("layernorm", "l2", "none")


class RelativeProjection(nn.Module):
    """Replace latents by their similarities to anchors, a map without parameters.

    ``forward(x (b, d), anchors (k, d), anchor_labels=None) -> (b, k)``. Cosines stay the same where the latent space is
    rotated, reflected, permuted or scaled, with the anchors; they change where it is shifted.

    **Arguments:**
    - ``similarity``:
      "cosine", in [-1, 1], the method; a vector of zeros has no direction, its cosines are 0;
      "dot", the inner product over sqrt(d);
      "euclidean", minus the distance, which a shift or a rotation does not change and a scaling does;
      "basis", the least-squares coefficients of x in the anchors, both at length 1 (of several solutions, with k > d, the
      shortest).
    - ``center``: subtract the anchors' mean from both first, so that a shift changes nothing either; not in the paper.
      Needs at least 2 anchors.
    - ``aggregate``: "class" gives the mean over the anchors of each class 0..c-1, ``(b, c)``, and needs ``anchor_labels``.
    - ``quantize``: round to multiples of this width; the gradient passes as if nothing were rounded.

    Raises InputError on an unknown name, shapes that do not fit, or a class without an anchor.

    Source: Moschella et al., ICLR 2023, section 3; the options are those of the released code, which with ``quantize``
    can round the gradient too.

    >>> anchors = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, -4.0]])
    >>> RelativeProjection()(torch.tensor([[3.0, 4.0]]), anchors)
    tensor([[ 0.6000,  0.8000, -1.0000]])
    >>> RelativeProjection("dot")(torch.tensor([[3.0, 4.0]]), anchors)
    tensor([[  2.1213,   5.6569, -17.6777]])
    """

    def __init__(
        self,
        similarity: Literal["cosine", "dot", "euclidean", "basis"] = "cosine",
        *,
        center: bool = False,
        aggregate: Literal["class"] | None = None,
        quantize: float | None = None,
    ):
        super().__init__()
        if similarity not in SIMILARITIES:
            raise unknown_name("similarity", similarity, SIMILARITIES)
        if aggregate not in (None, "class"):
            raise InputError(f"aggregate is {aggregate!r}; expected 'class' or None")
        if quantize is not None and not 0 < quantize < float("inf"):
            raise InputError(f"quantize is {quantize}; expected the width of a bin, above 0, or None")
        self.similarity, self.center, self.aggregate, self.quantize = similarity, center, aggregate, quantize

    def forward(
        self, x: Float[Tensor, "b d"], anchors: Float[Tensor, "k d"], anchor_labels: Int[Tensor, " k"] | None = None
    ) -> Float[Tensor, "b m"]:
        self._check(x, anchors, anchor_labels)
        if self.center:
            mean = anchors.mean(0)
            x, anchors = x - mean, anchors - mean
        if self.similarity == "cosine":
            similar = normalize(x, dim=-1) @ normalize(anchors, dim=-1).T  # (b, k)
        elif self.similarity == "dot":
            similar = x @ anchors.T / x.shape[-1] ** 0.5
        elif self.similarity == "euclidean":
            # Without the shortcut by inner products, whose rounding makes the distance of a point to itself appear.
            similar = -torch.cdist(x, anchors, compute_mode="donot_use_mm_for_euclid_dist")
        else:
            # c A = x in the least squares: c = x A^+.
            similar = normalize(x, dim=-1) @ torch.linalg.pinv(normalize(anchors, dim=-1))
        if self.aggregate == "class":
            similar = _class_means(similar, anchor_labels)  # (b, c)
        if self.quantize is not None:
            rounded = torch.round(similar / self.quantize) * self.quantize
            similar = similar + (rounded - similar).detach()
        return similar

    def _check(self, x: Tensor, anchors: Tensor, labels: Tensor | None) -> None:
        if x.ndim != 2 or anchors.ndim != 2 or x.shape[1] != anchors.shape[1]:
            raise InputError(
                f"x has shape {tuple(x.shape)} and anchors {tuple(anchors.shape)}; expected (b, d) and (k, d) of one d"
            )
        least = 2 if self.center else 1
        if len(anchors) < least:
            raise InputError(f"there are {len(anchors)} anchors; expected at least {least}")
        if self.aggregate == "class" and (labels is None or labels.shape != anchors.shape[:1]):
            has = "none came" if labels is None else f"they have shape {tuple(labels.shape)}"
            raise InputError(f"aggregate='class' needs anchor_labels of shape ({len(anchors)},); {has}")


class RelativeEncoder(nn.Module):
    """An encoder whose output is relative to anchors that it encodes itself, anew in every forward pass.

    ``forward(x) = norm(projection(encoder(x), encoder(anchor_inputs)))``, shape ``(b, k)``. While the encoder learns, its
    anchors move with it; stale ones would break the geometry.

    **Arguments:**
    - ``encoder``: inputs -> latents ``(b, d)``.
    - ``anchor_inputs``: ``(k, ...)``, kept as a buffer; the same examples in the same order for every encoder that is to be
      exchanged.
    - ``anchor_grad``: let the gradient pass through the anchors too; the paper does not.
    - ``norm``: of the similarities. "layernorm" over the anchors, with weights that are learned (part of the method: cosines of
      trained networks lie close together); "l2"; "none".
    - ``projection``: a `RelativeProjection`, cosines by default; ``anchor_labels``: for one that aggregates by class.
    - ``chunk``: anchors that are encoded at a time.

    The layer norm belongs to what reads the output, see `farfield.reuse.stitch`. Batch statistics of the encoder are moved by
    the batch alone, not by the anchors; in training mode the anchors are normalised with their own.

    Raises InputError on an unknown norm, fewer than 2 anchors with "layernorm" (it would make a constant of one), or chunk
    below 1.

    Source: Moschella et al., ICLR 2023, section 3; the released code's ``RelativeAttention``.

    >>> encoder = RelativeEncoder(nn.Linear(4, 3), torch.eye(4), norm="none")
    >>> encoder(torch.eye(4)).diagonal().detach().round(decimals=4)
    tensor([1., 1., 1., 1.])
    """

    def __init__(
        self,
        encoder: nn.Module,
        anchor_inputs: Tensor,
        *,
        anchor_grad: bool = False,
        norm: Literal["layernorm", "l2", "none"] = "layernorm",
        projection: RelativeProjection | None = None,
        anchor_labels: Int[Tensor, " k"] | None = None,
        chunk: int = 1024,
    ):
        super().__init__()
        if norm not in NORMS:
            raise unknown_name("norm", norm, NORMS)
        if anchor_inputs.ndim < 1 or len(anchor_inputs) < 1:
            raise InputError(
                f"anchor_inputs has shape {tuple(anchor_inputs.shape)}; expected (k, ...) with k at least 1"
            )
        if chunk < 1:
            raise InputError(f"chunk is {chunk}; it must be at least 1")
        self.encoder = encoder
        self.projection = RelativeProjection() if projection is None else projection
        self.register_buffer("anchor_inputs", anchor_inputs.detach().clone())
        self.register_buffer("anchor_labels", None if anchor_labels is None else anchor_labels.detach().clone())
        self.register_buffer("frozen", None, persistent=False)
        by_class = self.projection.aggregate == "class" and anchor_labels is not None
        self.width = int(anchor_labels.max()) + 1 if by_class else len(anchor_inputs)
        if norm == "layernorm" and self.width < 2:
            raise InputError(
                "layernorm of a single similarity is always 0; expected at least 2 anchors, or another norm"
            )
        self.anchor_grad, self.norm, self.chunk = anchor_grad, norm, chunk
        self.layernorm = nn.LayerNorm(self.width) if norm == "layernorm" else None

    def anchors(self) -> Float[Tensor, "k d"]:
        """Return the anchors' latents by the encoder as it is now, or as they were frozen.

        >>> RelativeEncoder(nn.Linear(4, 3), torch.eye(4)).anchors().shape
        torch.Size([4, 3])
        """
        if self.frozen is not None:
            return self.frozen
        with torch.set_grad_enabled(self.anchor_grad and torch.is_grad_enabled()), disable_running_stats(self.encoder):
            return torch.cat([self.encoder(part) for part in self.anchor_inputs.split(self.chunk)])

    def similarities(self, x: Tensor) -> Float[Tensor, "b k"]:
        """Return the similarities to the anchors before the norm.

        >>> RelativeEncoder(nn.Linear(4, 3), torch.eye(4)).similarities(torch.eye(4)[:2]).shape
        torch.Size([2, 4])
        """
        return self.projection(self.encoder(x), self.anchors(), self.anchor_labels)

    def normalize(self, similarities: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Return similarities after this encoder's norm, whichever encoder they came from.

        >>> RelativeEncoder(nn.Linear(4, 3), torch.eye(4), norm="l2").normalize(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
        """
        if self.layernorm is not None:
            return self.layernorm(similarities)
        return normalize(similarities, dim=-1) if self.norm == "l2" else similarities

    def freeze_anchors(self) -> "RelativeEncoder":
        """Encode the anchors once, in evaluation mode, and keep it in that mode; ``train()`` and ``load_state_dict`` undo it.

        >>> encoder = RelativeEncoder(nn.Linear(4, 3), torch.eye(4)).freeze_anchors()
        >>> encoder.frozen.shape, encoder.train().frozen
        (torch.Size([4, 3]), None)
        """
        self.eval()
        self.frozen = None
        with torch.no_grad():
            self.frozen = self.anchors()
        return self

    def train(self, mode: bool = True) -> "RelativeEncoder":
        if mode:
            self.frozen = None
        return super().train(mode)

    def _load_from_state_dict(self, *args) -> None:
        self.frozen = None
        super()._load_from_state_dict(*args)

    def forward(self, x: Tensor) -> Float[Tensor, "b k"]:
        return self.normalize(self.similarities(x))


def _class_means(similar: Tensor, labels: Tensor) -> Tensor:
    """Return (b, c): the mean of the columns of each class."""
    if labels.is_floating_point() or int(labels.min()) < 0:
        raise InputError(f"anchor_labels must be whole numbers from 0; {labels.dtype} from {labels.min()} came")
    counts = torch.bincount(labels)  # (c,)
    if not counts.all():
        raise InputError(f"class {int((counts == 0).int().argmax())} has no anchor; expected one of every class")
    sums = similar.new_zeros(len(similar), len(counts)).index_add(1, labels, similar)
    return sums / counts
