"""Trust-region aware minimisation: how far predictions moved decides how far to look for a worse point."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from farfield.errors import InputError
from farfield.optim._two_step import Closure, Run, TwoStep

Divergence = float | Tensor | Callable[[], float | Tensor]


class TRAM(TwoStep):
    """Update with the gradient at ``theta + d * theta^2 g / |theta g|``, where d is measured anew at every step.

    d is the divergence of the model's predictions on the batch from those of a reference: the model one step ago, the
    pretrained model, or the model on noised inputs (Sherborne et al., ICLR 2024, Algorithm 1). It takes the place of ASAM's
    fixed radius, and ``|epsilon / theta| = d``. A step is three forward and two backward passes.

    Differs from the released code: that adds ``d * theta^2 / |theta g|``, in which the gradient has no direction, and scales
    its divergence by the number of classes and the size of the batch (`farfield.losses.divergence` has both scales).

    **Arguments:**
    - ``params``: parameters or parameter groups. ``base_optimizer``: the class that makes the update, such as
      ``torch.optim.AdamW``; ``base_kwargs`` go to it. A base's own ``eps`` goes into the groups.
    - ``adaptive``: False moves along ``d * g / |g|``, as SAM does.
    - ``eps``: added to the norm, above 0.
    - ``max_radius``: d counts as this where it is larger, above 0; None leaves it. The distance to the pretrained model grows
      without end.

    In a plain script, where ``divergence``, ``PreviousStepReference`` and the rest come from farfield::

        reference = PreviousStepReference().init(model)
        reference.follow(optimizer, model)
        for batch in batches:
            kept = []
            def closure():
                optimizer.zero_grad()
                with disable_running_stats(model) if optimizer.perturbed else nullcontext():
                    kept.append(model(batch["x"]))
                loss = cross_entropy(kept[-1], batch["y"])
                loss.backward()
                return loss
            optimizer.step(closure, divergence=lambda: divergence(reference.logits(model, batch), kept[0]))

    ``divergence`` as a function is called once, without gradients, between the two passes, at theta: the logits of the first
    pass serve again. For loops that call ``step(closure)`` and nothing else, set ``optimizer.divergence`` to it. By hand:
    backward, ``first_step(d)``, forward and backward, ``second_step()``. ``radius`` is the d of the last step.

    Where reference and model predict the same, d is 0 up to rounding, which may fall below it and then counts as 0.

    Gradient scaling, clipping, schedulers and ``perturbed``: as `SAM`.

    Raises InputError on an eps or max_radius out of range.

    >>> theta = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
    >>> theta.grad = torch.tensor([3.0, 4.0])
    >>> TRAM([theta], torch.optim.SGD, lr=0.1).first_step(0.5)
    >>> theta.data
    tensor([ 2.8321, -0.7226])
    """

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer: type[Optimizer],
        *,
        adaptive: bool = True,
        eps: float = 1e-12,
        max_radius: float | None = None,
        **base_kwargs: Any,
    ):
        # These are not settings of groups: Adam would take a group's eps for its own.
        for name, value in {"eps": eps, "max_radius": max_radius}.items():
            if value is not None and not value > 0:
                raise InputError(f"{name} is {value}; it must be above 0")
        self.adaptive, self.eps, self.max_radius = adaptive, eps, max_radius
        self.radius: float | Tensor = 0.0
        self.divergence: Divergence | None = None
        super().__init__(params, base_optimizer, {}, base_kwargs)

    def _radius(self, group: dict[str, Any]) -> float | Tensor:
        return self.radius

    def _scales(self, run: Run) -> list[Tensor] | None:
        # T = theta: its sign drops out of T (T g) and of |T g|.
        return run.params if self.adaptive else None

    def first_step(self, divergence: float | Tensor) -> None:
        """Move the parameters uphill as far as ``divergence`` says, keep where they were, and clear the gradients.

        Raises InputError where it is not one number, or a number that is negative or not finite. (On a GPU its value is not
        looked at, which would wait for it: one that is not finite then shows in the next loss.)
        """
        self.radius = self._checked(divergence)
        self._ascend(eps=self.eps)

    def _checked(self, divergence: float | Tensor) -> float | Tensor:
        if isinstance(divergence, Tensor):
            if divergence.numel() != 1:
                raise InputError(f"divergence has shape {tuple(divergence.shape)}; expected one number")
            divergence = divergence.detach().reshape(())
            if divergence.device.type != "cpu":
                return divergence.clamp(min=0, max=self.max_radius)
            divergence = float(divergence)
        # Rounding in the sum of a few thousand terms of size one.
        if not math.isfinite(divergence) or divergence < -1e-3:
            raise InputError(f"divergence is {divergence}; it must be at least 0 and finite")
        divergence = max(0.0, divergence)
        return divergence if self.max_radius is None else min(divergence, self.max_radius)

    def step(
        self,
        closure: Closure | None = None,
        divergence: Divergence | None = None,
        *,
        scaler: torch.amp.GradScaler | None = None,
    ) -> Tensor:
        """Take one step and return the loss at the parameters before it.

        **Arguments:** ``closure``: zero_grad, forward, backward; returns the loss; it is called twice. ``divergence``: d, or a
        function that returns it, called after the closure's first call; None takes ``optimizer.divergence``. ``scaler``:
        as in `second_step`.

        Raises InputError without a closure or a divergence.
        """
        given = self.divergence if divergence is None else divergence
        if given is None:
            raise InputError("TRAM.step needs a divergence: step(closure, divergence=...), or set optimizer.divergence")

        def first() -> None:
            with torch.no_grad():
                value = given() if callable(given) else given
            self.first_step(value)

        return self._two_passes(closure, first, scaler)
