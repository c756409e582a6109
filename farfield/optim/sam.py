"""Sharpness-aware minimisation: the gradient at the worst point nearby."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from farfield.optim._two_step import Run, TwoStep


class SAM(TwoStep):
    """Update with the gradient at ``theta + rho * g / |g|``, the worst point within distance rho to first order.

    A base optimizer makes the update at ``theta`` with that gradient (Foret et al., ICLR 2021, equations 2 and 3). The norm
    runs over all parameters of all groups that have a gradient; the others stay where they are.

    **Arguments:**
    - ``params``: parameters or parameter groups; a group may have its own ``rho``.
    - ``base_optimizer``: the class that makes the update, such as ``torch.optim.AdamW``; ``base_kwargs`` go to it.
    - ``rho``: radius in parameter space, at least 0; 0 is the base optimizer.

    ``step(closure)`` calls the closure (zero_grad, forward, backward; returns the loss) twice and returns its first loss.
    Without a closure: backward, `first_step`, forward and backward, `second_step`. ``perturbed`` says whether the
    parameters are at the worst point, so that a closure can tell its second call. The parameter groups, the state and so
    ``state_dict`` are those of the base optimizer: learning-rate schedulers work on this object as on any other.

    Gradient clipping belongs to the second pass alone. With a ``torch.amp.GradScaler``: ``scaler.scale(loss).backward()`` in
    the closure, then ``step(closure, scaler=scaler)`` and ``scaler.update()``; by hand, ``scaler.unscale_(optimizer)`` before
    `first_step` and ``second_step(scaler)``.

    Raises InputError on a negative rho.

    >>> import torch
    >>> theta = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
    >>> theta.grad = torch.tensor([3.0, 4.0])
    >>> SAM([theta], torch.optim.SGD, rho=0.05, lr=0.1).first_step()
    >>> theta.data
    tensor([ 2.0300, -0.9600])
    """

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer: type[Optimizer],
        *,
        rho: float = 0.05,
        **base_kwargs: Any,
    ):
        super().__init__(params, base_optimizer, {"rho": rho}, base_kwargs)

    def _radius(self, group: dict[str, Any]) -> float:
        return group["rho"]

    def _scales(self, run: Run) -> list[Tensor] | None:
        return None
