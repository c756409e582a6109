"""The loss of a model that tells several features of its input, some of whose labels may be hidden."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from farfield.errors import InputError


class FeatureLoss(nn.Module):
    """Cross-entropy of each feature over the labels that count, summed over features, in nats.

    **Arguments:**
    - ``classes``: values of each feature, at least 2. A feature of two values has one output, its logit; one of k > 2 has k.
    - ``normalize``: ``"shown"`` divides each feature's sum by the number of its labels that count in the batch, so that a rare
      label pulls as strongly as a common one in the batches that have it; ``"all"`` divides by the batch size, so that a
      rare label has a smaller gradient on average.

    The call takes ``outputs`` (n, outputs in the order of the features), ``y`` (n, features) int64 and ``mask`` (n, features) bool,
    and returns a scalar. A feature without any label in the batch adds 0.

    Raises InputError on fewer than two classes, another ``normalize``, or shapes that do not match.

    Source: Lampinen, Chan, Hermann, TMLR 2024 (each feature is an output; prevalence hides labels).

    >>> loss = FeatureLoss((2, 4))
    >>> y, mask = torch.tensor([[1, 3], [0, 2]]), torch.tensor([[True, True], [True, False]])
    >>> round(float(loss(torch.zeros(2, 5), y, mask)), 4), loss.decide(torch.tensor([[0.5, 0, 0, 2, 0]])).tolist()
    (2.0794, [[1, 2]])
    """

    def __init__(self, classes: Sequence[int], *, normalize: Literal["shown", "all"] = "shown"):
        super().__init__()
        if not len(classes) or min(classes) < 2:
            raise InputError(f"classes is {tuple(classes)}; expected at least one feature of at least two classes each")
        if normalize not in ("shown", "all"):
            raise InputError(f"normalize is {normalize!r}; it must be 'shown' or 'all'")
        self.classes, self.normalize = tuple(classes), normalize
        self.widths = [1 if k == 2 else k for k in classes]

    @property
    def outputs(self) -> int:
        """How many outputs the model must have."""
        return sum(self.widths)

    def forward(
        self, outputs: Float[Tensor, "n outputs"], y: Int[Tensor, "n features"], mask: Bool[Tensor, "n features"]
    ) -> Float[Tensor, ""]:
        n = len(outputs)
        if outputs.shape != (n, self.outputs) or y.shape != (n, len(self.classes)) or mask.shape != y.shape:
            raise InputError(
                f"outputs has shape {tuple(outputs.shape)}, y {tuple(y.shape)}, mask {tuple(mask.shape)}; expected "
                f"(n, {self.outputs}) and twice (n, {len(self.classes)})"
            )
        each = self._each(outputs, y) * mask
        below = mask.sum(0).clamp(min=1) if self.normalize == "shown" else n
        return (each.sum(0) / below).sum()

    def _each(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the cross-entropy of every label (n, features)."""
        if self.outputs == len(self.classes):
            return nn.functional.binary_cross_entropy_with_logits(outputs, y.to(outputs.dtype), reduction="none")
        found = []
        for part, label in zip(outputs.split(self.widths, 1), y.T):
            if part.shape[1] == 1:
                target = label.to(part.dtype)
                found.append(nn.functional.binary_cross_entropy_with_logits(part[:, 0], target, reduction="none"))
            else:
                found.append(nn.functional.cross_entropy(part, label, reduction="none"))
        return torch.stack(found, 1)

    def decide(self, outputs: Float[Tensor, "n outputs"]) -> Int[Tensor, "n features"]:
        """Return the most likely value of each feature."""
        parts = outputs.split(self.widths, 1)
        return torch.stack([(p[:, 0] > 0).long() if p.shape[1] == 1 else p.argmax(1) for p in parts], 1)
