"""One loss at several sizes of a representation: summed over prefixes of the vectors."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from farfield.errors import InputError
from farfield.nn.matryoshka import check_sizes


class MatryoshkaCrossEntropy(nn.Module):
    """``sum_i w_i CE(logits_i, y)``, in nats: a sum over the sizes, not their mean, of a mean over the batch.

    **Arguments:**
    - ``weights``: w_i, the relative importance of each size, numbers of at least 0; None: all 1.
    - ``label_smoothing``: from 0 to 1, in the loss of every size (the paper's training on ImageNet takes 0.1).
    - ``reduction``: over the batch, "mean" or "sum".

    A label of -100 is left out, as in ``torch.nn.functional.cross_entropy``.

    Raises InputError on a value out of range, as many logits as there are not weights, or shapes that do not fit.

    Source: Kusupati et al., NeurIPS 2022, equation 1.

    >>> import torch
    >>> loss = MatryoshkaCrossEntropy()([torch.zeros(2, 4)] * 3, torch.tensor([0, 1]))  # 3 ln 4
    >>> round(float(loss), 4)
    4.1589
    """

    def __init__(
        self,
        weights: Sequence[float] | Tensor | None = None,
        label_smoothing: float = 0.0,
        reduction: Literal["mean", "sum"] = "mean",
    ):
        super().__init__()
        if not 0 <= label_smoothing <= 1:
            raise InputError(f"label_smoothing is {label_smoothing}; it must be from 0 to 1")
        if reduction not in ("mean", "sum"):
            raise InputError(f"reduction is {reduction!r}; expected 'mean' or 'sum'")
        self.weights = None if weights is None else _weights(weights)
        self.label_smoothing, self.reduction = label_smoothing, reduction

    def forward(self, logits: Sequence[Float[Tensor, "... classes"]], y: Int[Tensor, "..."]) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        **Arguments:** ``logits``: of each size, as `farfield.nn.MatryoshkaLinear` gives them; ``y``: class indices.
        """
        if not len(logits) or any(each.shape[:-1] != y.shape for each in logits):
            shapes = ", ".join(str(tuple(each.shape)) for each in logits)
            raise InputError(
                f"the logits have shapes {shapes or 'none'}; y of shape {tuple(y.shape)} needs {(*y.shape, 'C')}"
            )
        weights = (1.0,) * len(logits) if self.weights is None else self.weights
        if len(weights) != len(logits):
            raise InputError(
                f"logits of {len(logits)} sizes came for {len(weights)} weights; expected one weight for each"
            )
        losses = [
            cross_entropy(
                each.flatten(0, -2), y.flatten(), label_smoothing=self.label_smoothing, reduction=self.reduction
            )
            for each in logits
        ]
        return sum(w * loss for w, loss in zip(weights, losses))


class MatryoshkaLoss(nn.Module):
    """``sum_i w_i loss(e[..., :m_i], ...)`` for any loss on embeddings: each size is trained to be enough.

    **Arguments:**
    - ``loss``: takes one or more embeddings, and whatever else, and returns a scalar tensor.
    - ``nesting``: the sizes, in any order (sentence-transformers lists them from the largest).
    - ``weights``: w_i, in the order of ``nesting``, numbers of at least 0; None: all 1.
    - ``normalize``: bring every prefix to length 1 after the cut, as contrastive losses need it. A prefix of zeros
      stays zeros.

    Raises InputError on sizes, weights or embeddings that do not fit.

    Source: Kusupati et al., NeurIPS 2022, section 3; the weights and dimensions of sentence-transformers'
    MatryoshkaLoss.

    >>> import torch
    >>> from farfield.losses import InfoNCE
    >>> views = torch.eye(4)
    >>> MatryoshkaLoss(InfoNCE(temperature=0.1), [4, 2])(views, views) > InfoNCE(temperature=0.1)(views, views)
    tensor(True)
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        nesting: Sequence[int],
        weights: Sequence[float] | Tensor | None = None,
        normalize: bool = True,
    ):
        super().__init__()
        self.loss, self.nesting, self.normalize = loss, check_sizes(nesting, "nesting"), normalize
        self.weights = (1.0,) * len(self.nesting) if weights is None else _weights(weights)
        if len(self.weights) != len(self.nesting):
            raise InputError(f"{len(self.weights)} weights came for {len(self.nesting)} sizes; expected one for each")

    def forward(self, *embeddings: Any, **others: Any) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        **Arguments:** the loss's own. Of those given without a name, floating point tensors (..., d) as wide as the
        first one and with two dimensions or more are embeddings and are cut; everything else, such as labels, goes to
        the loss as it is. A square matrix of similarities that is by chance as wide must be given by name.
        """
        first = next((e for e in embeddings if _is_embedding(e)), None)
        if first is None:
            raise InputError("no embeddings came; the first argument must be a floating point tensor (n, d)")
        width = first.shape[-1]
        check_sizes(self.nesting, "nesting", most=width)
        total = None
        for m, weight in zip(self.nesting, self.weights):
            cut = [self._cut(e, m) if _is_embedding(e) and e.shape[-1] == width else e for e in embeddings]
            value = weight * self.loss(*cut, **others)
            total = value if total is None else total + value
        return total

    def _cut(self, embedding: Tensor, m: int) -> Tensor:
        prefix = embedding[..., :m]
        return normalize(prefix, dim=-1) if self.normalize else prefix


def _is_embedding(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim >= 2


def _weights(weights: Sequence[float] | Tensor) -> tuple[float, ...]:
    # Plain numbers: they go with the losses to whatever device and precision those have.
    found = tuple(float(w) for w in weights)
    if not found or not all(math.isfinite(w) and w >= 0 for w in found) or not any(found):
        raise InputError(f"weights is {list(found)}; expected numbers of at least 0 that are not all 0")
    return found
