"""Adaptive sharpness-aware minimisation: a neighbourhood that scales with the parameters."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from farfield.optim._two_step import Run, TwoStep


class ASAM(TwoStep):
    """Update with the gradient at ``theta + rho * T^2 g / |T g|`` where ``T = |theta| + eta``, element by element.

    With eta 0 the neighbourhood does not change when a layer is scaled up and the next one down by the same factor, which
    leaves a ReLU network's function as it is (Kwon et al., ICML 2021, equation 6).

    Differs from the official code: T applies to every parameter, as in the paper; there to those named "weight".

    **Arguments:**
    - ``params``, ``base_optimizer``, ``base_kwargs``, and the way to take steps: as `SAM`.
    - ``rho``: radius relative to the size of the parameters, at least 0; 0 is the base optimizer.
    - ``eta``: added to the size of every parameter, at least 0, so that those near 0 move too.

    >>> theta = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
    >>> theta.grad = torch.tensor([3.0, 4.0])
    >>> ASAM([theta], torch.optim.SGD, rho=0.5, eta=0.0, lr=0.1).first_step()
    >>> theta.data
    tensor([ 2.8321, -0.7226])
    """

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer: type[Optimizer],
        *,
        rho: float = 0.5,
        eta: float = 0.01,
        **base_kwargs: Any,
    ):
        super().__init__(params, base_optimizer, {"rho": rho, "eta": eta}, base_kwargs)

    def _radius(self, group: dict[str, Any]) -> float:
        return group["rho"]

    def _scales(self, run: Run) -> list[Tensor] | None:
        sizes = torch._foreach_abs(run.params)
        torch._foreach_add_(sizes, run.group["eta"])
        return list(sizes)
