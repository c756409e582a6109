"""Stay close, in what is predicted, to an earlier model."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.losses.divergence import check_kind, divergence
from farfield.optim.references import Reference


class TrustRegionPenalty(nn.Module):
    """``weight`` times the divergence of a model's predictions on a batch from those of a reference.

    With `farfield.optim.PreviousStepReference` it is TRPO's penalty ``KL(p_{t-1} || p_t)`` (Schulman et al., ICML 2015, as a
    penalty); with `farfield.optim.EMAReference` MESA's (Du et al., NeurIPS 2022). Add it to the loss of the task, and let the
    reference follow the optimizer.

    **Arguments:**
    - ``reference``: with its ``init`` done.
    - ``weight``: at least 0. ``divergence``: a kind of `farfield.losses.divergence`; the reference is the target.

    Raises InputError on a negative weight or an unknown divergence.

    >>> import torch
    >>> from farfield.optim import PretrainedReference
    >>> model, batch = nn.Linear(2, 3), {"x": torch.ones(4, 2)}
    >>> penalty = TrustRegionPenalty(PretrainedReference().init(model))
    >>> penalty(model, batch, model(batch["x"])).item() < 1e-6
    True
    """

    def __init__(self, reference: Reference, weight: float = 0.1, divergence: str = "kl_forward"):
        super().__init__()
        if not weight >= 0:
            raise InputError(f"weight is {weight}; it must be at least 0")
        check_kind(divergence)
        self.reference, self.weight, self.divergence = reference, weight, divergence

    def forward(
        self, model: nn.Module, batch: Mapping[str, Any], logits: Float[Tensor, "n ... classes"]
    ) -> Float[Tensor, ""]:
        """Return the weighted penalty.

        **Arguments:** ``logits``: those of ``model`` on ``batch``, from the pass that the loss of the task is made of.
        """
        return self.weight * divergence(self.reference.logits(model, batch), logits, self.divergence)
