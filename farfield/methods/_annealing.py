"""The schedule that IRM and V-REx share: a penalty that waits for the first phase of the training."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.methods.method import check_at_least


class Annealed:
    """A loss ``risk + w * penalty`` with w = 1 in the first steps and ``weight`` after, counting its calls as steps.

    As in the papers' code, the sum is divided by w where w is above 1, so that gradients keep their size. As in DomainBed,
    the optimizer's state is cleared at the switch: its moments would belong to another loss.

    **Arguments:**
    - ``risk_and_penalty``: ``(model, batch)`` -> both as scalar tensors.
    - ``weight``: at least 0.
    - ``annealing``: share of the ``steps`` before the switch, 0 to 1.

    >>> parameter = torch.nn.Parameter(torch.zeros(()))
    >>> both = lambda model, batch: (torch.tensor(1.0), torch.tensor(3.0))
    >>> loss = Annealed(both, torch.optim.SGD([parameter], lr=1.0), weight=10.0, annealing=0.5, steps=2)
    >>> loss(nn.Identity(), {}), loss(nn.Identity(), {})
    (tensor(4.), tensor(3.1000))
    """

    def __init__(
        self,
        risk_and_penalty: Callable[[nn.Module, dict[str, Any]], tuple[Tensor, Tensor]],
        optimizer: torch.optim.Optimizer,
        *,
        weight: float,
        annealing: float,
        steps: int,
    ):
        check_at_least(0, weight=weight)
        if not 0 <= annealing <= 1:
            raise InputError(f"annealing is {annealing}; it must be a share of the steps, 0 to 1")
        self.risk_and_penalty = risk_and_penalty
        self.optimizer = optimizer
        self.weight = weight
        self.switch = round(annealing * steps)
        self.step = 0

    def __call__(self, model: nn.Module, batch: dict[str, Any]) -> Tensor:
        """Return the loss of the next step."""
        risk, penalty = self.risk_and_penalty(model, batch)
        if self.step == self.switch:
            self.optimizer.state.clear()
        weight = self.weight if self.step >= self.switch else 1.0
        self.step += 1
        return (risk + weight * penalty) / max(weight, 1.0)
