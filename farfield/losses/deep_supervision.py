"""One loss over several outputs of a model, such as the heads on its layers."""

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.nn.junctions import LevelOutputs


class DeepSupervisionLoss(nn.Module):
    """``sum_l weight_l * loss(output_l, y)``, and, where it is asked for, ``ensemble * loss(combined, y)``.

    **Arguments:**
    - ``base_loss``: ``(outputs (n, C), y) -> scalar``: cross-entropy, mean squared error ...
    - ``weights``: one for each output, at least 0; they are divided by their sum. None: all equal.
    - ``ensemble``: weight of the same loss on the combined output, at least 0. Learned weights of
      an ensemble move by this term alone.

    Raises InputError on a weight out of range, as many weights as there are not outputs, or
    ``ensemble`` without a combined output.

    Source: Roh et al., ICML 2024 (a loss shared by all junctions); deep supervision: Lee et al.,
    AISTATS 2015.

    >>> import torch
    >>> loss = DeepSupervisionLoss(nn.functional.mse_loss)
    >>> loss([torch.tensor([[1.0]]), torch.tensor([[3.0]])], torch.tensor([[0.0]]))  # (1 + 9) / 2
    tensor(5.)
    """

    def __init__(
        self,
        base_loss: Callable[[Tensor, Tensor], Tensor],
        weights: Sequence[float] | None = None,
        *,
        ensemble: float = 0.0,
    ):
        super().__init__()
        if weights is not None and (
            not len(weights) or not all(w >= 0 for w in weights) or not 0 < sum(weights) < 1e300
        ):
            raise InputError(f"weights is {list(weights)}; expected numbers of at least 0 that are not all 0")
        if not 0 <= ensemble < 1e300:
            raise InputError(f"ensemble is {ensemble}; it must be at least 0")
        self.base_loss, self.ensemble = base_loss, ensemble
        self.weights = None if weights is None else tuple(w / sum(weights) for w in weights)

    def forward(self, outputs: LevelOutputs | Sequence[Tensor], y: Tensor) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        **Arguments:** ``outputs``: (n, C) of each head, or `farfield.nn.LevelOutputs`; ``y``: what
        ``base_loss`` takes.
        """
        heads = outputs.per_layer if isinstance(outputs, LevelOutputs) else tuple(outputs)
        weights = (1 / len(heads),) * len(heads) if self.weights is None and heads else self.weights or ()
        if not heads or len(weights) != len(heads):
            raise InputError(
                f"{len(heads)} outputs came for {len(weights)} weights; expected one weight for each output"
            )
        total = sum(w * self.base_loss(head, y) for w, head in zip(weights, heads) if w)
        if not self.ensemble:
            return total
        if not isinstance(outputs, LevelOutputs):
            raise InputError("the loss has an ensemble term, and bare outputs came; give farfield.nn.LevelOutputs")
        return total + self.ensemble * self.base_loss(outputs.combined, y)
