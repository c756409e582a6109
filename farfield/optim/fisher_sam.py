"""Sharpness-aware minimisation whose neighbourhood is measured by the Fisher information, not in parameter space."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from farfield.errors import InputError
from farfield.optim._two_step import Closure, Run, TwoStep


class FisherSAM(TwoStep):
    """Update with the gradient at ``theta + gamma * F^-1 g / sqrt(g^T F^-1 g)`` with ``F^-1 = 1 / (1 + eta g^2)``.

    The diagonal of the Fisher information is estimated by the squared gradient of the batch, element by element (Kim et
    al., ICML 2022, equations 8 to 10). Where the gradient is large, predictions move most, so the parameters move less.

    **Arguments:**
    - ``params``, ``base_optimizer``, ``base_kwargs``, and the way to take steps: as `SAM`.
    - ``gamma``: radius, at least 0; 0 is the base optimizer.
    - ``eta``: how strongly the Fisher information counts, at least 0; 0 is `SAM` with rho gamma.

    The squared gradient depends on the scale of the loss: with a gradient scaler, unscale before `first_step`.

    >>> theta = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
    >>> theta.grad = torch.tensor([3.0, 4.0])
    >>> FisherSAM([theta], torch.optim.SGD, gamma=0.1, eta=0.1, lr=0.1).first_step()
    >>> theta.data
    tensor([ 2.0478, -0.9534])
    """

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer: type[Optimizer],
        *,
        gamma: float = 0.1,
        eta: float = 0.1,
        **base_kwargs: Any,
    ):
        super().__init__(params, base_optimizer, {"gamma": gamma, "eta": eta}, base_kwargs)

    def _radius(self, group: dict[str, Any]) -> float:
        return group["gamma"]

    def _scales(self, run: Run) -> list[Tensor] | None:
        return _inverse_root(run.grads, run.group["eta"])


class TRAMFisher(FisherSAM):
    """`FisherSAM` with the Fisher information estimated on noised inputs: a trust region of the distribution around x.

    ``F`` is the squared gradient of the batch at ``x + z`` (Sherborne et al., ICLR 2024, TRAM-Fisher). There are two ways to
    give it:

    - ``step(closure)``: the first call of the closure runs on noised inputs, and its gradient is both g and the root of F.
      This costs no pass more than `FisherSAM`, as the paper says of it. ``perturbed`` tells the closure its second call.
    - ``step(closure, noised)``: g is the gradient that ``closure`` leaves, F comes from that of the closure ``noised``, which
      is called first. This is the formula to the letter; it costs one forward and one backward pass more.

    **Arguments:** as `FisherSAM`.

    >>> theta = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
    >>> theta.grad = torch.tensor([3.0, 4.0])
    >>> TRAMFisher([theta], torch.optim.SGD, gamma=0.1, eta=0.1, lr=0.1).first_step([torch.tensor([0.0, 4.0])])
    >>> theta.data
    tensor([ 2.0771, -0.9605])
    """

    _noised: dict[Tensor, Tensor] | None = None

    def _scales(self, run: Run) -> list[Tensor] | None:
        return super()._scales(run) if self._noised is None else _inverse_root(run.also, run.group["eta"])

    def _also(self, p: Tensor) -> list[Tensor]:
        if self._noised is None:
            return []
        # A parameter that the noised pass did not reach has no information, F = 0.
        return [self._noised[p] if p in self._noised else torch.zeros_like(p)]

    def first_step(self, noised_gradients: Sequence[Tensor | None] | None = None) -> None:
        """Move the parameters uphill, keep where they were, and clear the gradients.

        **Arguments:** ``noised_gradients``: the gradient at ``x + z`` of each parameter, in the order of the groups; None
        for one without. Without the argument, the gradients that the parameters have.

        Raises InputError where their number or a shape does not match.
        """
        if noised_gradients is not None:
            self._noised = self._matched(noised_gradients)
        try:
            self._ascend()
        finally:
            self._noised = None

    def _matched(self, gradients: Sequence[Tensor | None]) -> dict[Tensor, Tensor]:
        params = [p for group in self.param_groups for p in group["params"]]
        if len(gradients) != len(params):
            raise InputError(
                f"noised_gradients has {len(gradients)} entries; there are {len(params)} parameters, one for each is expected"
            )
        for p, g in zip(params, gradients):
            if g is not None and g.shape != p.shape:
                raise InputError(
                    f"noised_gradients holds a shape {tuple(g.shape)} for a parameter of shape {tuple(p.shape)}"
                )
        return {p: g for p, g in zip(params, gradients) if g is not None}

    def step(
        self,
        closure: Closure | None = None,
        noised: Callable[[], Tensor] | None = None,
        *,
        scaler: torch.amp.GradScaler | None = None,
    ) -> Tensor:
        """Take one step and return the closure's first loss.

        **Arguments:** ``closure``: zero_grad, forward, backward; returns the loss; it is called twice. ``noised``: the same on
        noised inputs; see the class. ``scaler``: as in `second_step`.

        Raises InputError without a closure, or with both ``noised`` and ``scaler``.
        """
        if noised is None:
            return self._two_passes(closure, self.first_step, scaler)
        if scaler is not None:
            raise InputError(
                "noised and scaler came together; a gradient scaler unscales one pass before the move, not two"
            )
        with torch.enable_grad():
            noised()
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        self.zero_grad(set_to_none=True)
        return self._two_passes(closure, lambda: self.first_step(gradients), None)


def _inverse_root(gradients: Sequence[Tensor], eta: float) -> list[Tensor]:
    """Return F^(-1/2) = (1 + eta g^2)^(-1/2) for each gradient."""
    scales = torch._foreach_mul(list(gradients), list(gradients))
    torch._foreach_mul_(scales, eta)
    torch._foreach_add_(scales, 1.0)
    torch._foreach_rsqrt_(scales)
    return list(scales)
