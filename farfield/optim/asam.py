"""Adaptive sharpness-aware minimisation: a neighbourhood that scales with the parameters."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from farfield.optim.sam import SAM


class ASAM(SAM):
    """Update with the gradient at ``theta + rho * T^2 g / |T g|`` where ``T = |theta| + eta``, element by element.

    With eta 0 the neighbourhood does not change when a layer is scaled up and the next one down by the same factor, which
    leaves a ReLU network's function as it is (Kwon et al., ICML 2021, equation 6).

    Differs from the official code: T applies to every parameter, as in the paper; there to those named "weight".

    **Arguments:**
    - ``params``, ``base_optimizer``, ``base_kwargs``: as `SAM`.
    - ``rho``: radius relative to the size of the parameters, at least 0; 0 is the base optimizer.
    - ``eta``: added to the size of every parameter, at least 0, so that those near 0 move too.

    >>> import torch
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
        super().__init__(params, base_optimizer, rho=rho, **base_kwargs)
        self.defaults["eta"] = eta
        for group in self.param_groups:
            group.setdefault("eta", eta)
        self._check("eta")

    def _scales(self, group: dict[str, Any], params: list[Tensor]) -> list[Tensor | None]:
        return [p.detach().abs() + group["eta"] for p in params]
