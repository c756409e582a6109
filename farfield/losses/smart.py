"""Predict the same under the worst small change of the input, and stay close to an averaged model."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.losses.divergence import divergence
from farfield.nn.extra_pass import InputNoise, extra_logits
from farfield.optim.references import Reference


class SMARTLoss(nn.Module):
    """``weight * (R + proximity * D)``: R the worst-case smoothness, D the Bregman distance to a reference.

    R is the symmetric KL between ``f(x)`` and ``f(x + delta)`` with ``|delta|_inf <= radius``. From normal noise,
    ``delta <- clip(delta + step_size * g / |g|_inf)`` is repeated, with g the gradient of the symmetric KL and its norm that
    of each example. D is the symmetric KL to the reference's predictions (Jiang et al., ACL 2020, Algorithm 1 and equations 2
    and 4). Add it to the loss of the task, and let the reference follow the optimizer.

    **Arguments:**
    - ``reference``: with its ``init`` done; the paper's is `farfield.optim.EMAReference`. None leaves D out.
    - ``weight``, ``proximity``: at least 0.
    - ``radius``, ``step_size``, ``sigma`` (of the noise): in units of the input, at least 0. The defaults are those for word
      embeddings; pixels and standardised features take far more.
    - ``steps``: of the ascent, at least 1; each is a forward and a backward pass.
    - ``at``: "input" or a module, as in `farfield.nn.extra_pass.changed_logits`; ``seed``: of the noise.

    Raises InputError on an argument out of range.

    >>> model, batch = nn.Linear(2, 3), {"x": torch.ones(4, 2)}
    >>> logits = model(batch["x"])
    >>> SMARTLoss(None, radius=0.5, step_size=0.5)(model, batch, logits) > SMARTLoss(None)(model, batch, logits)
    tensor(True)
    """

    def __init__(
        self,
        reference: Reference | None,
        *,
        weight: float = 0.1,
        proximity: float = 1.0,
        radius: float = 1e-5,
        step_size: float = 1e-3,
        sigma: float = 1e-5,
        steps: int = 1,
        at: str = "input",
        seed: int = 0,
    ):
        super().__init__()
        settings = {"weight": weight, "proximity": proximity, "radius": radius, "step_size": step_size}
        for name, value in settings.items():
            if not value >= 0:
                raise InputError(f"{name} is {value}; it must be at least 0")
        if steps < 1:
            raise InputError(f"steps is {steps}; it must be at least 1")
        self.reference, self.at = reference, at
        self.weight, self.proximity = weight, proximity
        self.radius, self.step_size, self.steps = radius, step_size, steps
        self.noise = InputNoise(sigma, seed=seed)

    def forward(
        self, model: nn.Module, batch: Mapping[str, Any], logits: Float[Tensor, "n ... classes"]
    ) -> Float[Tensor, ""]:
        """Return the weighted penalty.

        **Arguments:** ``logits``: those of ``model`` on ``batch``, from the pass that the loss of the task is made of.
        """
        delta = self.worst_change(model, batch, logits)
        moved = extra_logits(model, batch, change=lambda x: x + delta, at=self.at)
        penalty = divergence(logits, moved, "kl_symmetric")
        if self.reference is not None and self.proximity > 0:
            target = self.reference.logits(model, batch)
            penalty = penalty + self.proximity * divergence(target, logits, "kl_symmetric")
        return self.weight * penalty

    def worst_change(
        self, model: nn.Module, batch: Mapping[str, Any], logits: Float[Tensor, "n ... classes"]
    ) -> Float[Tensor, "n ..."]:
        """Return delta, of the shape of what it is added to, each element within the radius."""
        delta: Tensor | None = None

        def change(x: Tensor) -> Tensor:
            nonlocal delta
            if delta is None:
                start = self.noise(torch.zeros_like(x, requires_grad=False))
                delta = start.clamp(-self.radius, self.radius).requires_grad_()
            return x + delta

        target = logits.detach()
        for _ in range(self.steps):
            distance = divergence(target, extra_logits(model, batch, change=change, at=self.at), "kl_symmetric")
            assert delta is not None
            (g,) = torch.autograd.grad(distance, delta)
            largest = g.abs().flatten(1).amax(1).view(-1, *[1] * (g.ndim - 1))
            # A gradient of 0 stays 0 and not NaN.
            ascent = self.step_size * g / largest.clamp(min=torch.finfo(g.dtype).tiny)
            delta = (delta.detach() + ascent).clamp(-self.radius, self.radius).requires_grad_()
        assert delta is not None
        return delta.detach()
