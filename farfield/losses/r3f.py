"""Predict the same under a little noise on the input."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.losses.divergence import divergence
from farfield.nn.extra_pass import InputNoise, extra_logits


class R3FLoss(nn.Module):
    """``weight * (KL(f(x) || f(x + z)) + KL(f(x + z) || f(x)))`` with noise z, a mean over the batch.

    Add it to the loss of the task (Aghajanyan et al., ICLR 2021, equations 4 and 5). Gradients flow through both passes, as in
    the official code. Its R4F adds spectral normalisation of the head, which is a matter of the model:
    ``torch.nn.utils.parametrizations.spectral_norm``, or the method "r4f".

    **Arguments:**
    - ``weight``: at least 0. The default is that of TRAM's paper; R3F's own has 1 and a range from 0.1 to 5.
    - ``sigma``, ``kind``, ``at``, ``seed``: the noise, as in `farfield.optim.InputNoiseReference`.

    Raises InputError on an argument out of range.

    >>> import torch
    >>> model, batch = nn.Linear(2, 3), {"x": torch.ones(4, 2)}
    >>> R3FLoss(sigma=0.0)(model, batch, model(batch["x"])).item() == 0
    True
    """

    def __init__(
        self, *, weight: float = 0.1, sigma: float = 0.1, kind: str = "normal", at: str = "input", seed: int = 0
    ):
        super().__init__()
        if not weight >= 0:
            raise InputError(f"weight is {weight}; it must be at least 0")
        self.weight, self.at = weight, at
        self.noise = InputNoise(sigma, kind=kind, seed=seed)

    def forward(
        self, model: nn.Module, batch: Mapping[str, Any], logits: Float[Tensor, "n ... classes"]
    ) -> Float[Tensor, ""]:
        """Return the weighted penalty.

        **Arguments:** ``logits``: those of ``model`` on ``batch``, from the pass that the loss of the task is made of.
        """
        noised = extra_logits(model, batch, change=self.noise, at=self.at)
        return self.weight * divergence(logits, noised, "kl_symmetric")
