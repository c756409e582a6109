"""The median of the gradients of the last mini-batches, in place of the last one."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from farfield.errors import InputError
from farfield.optim._wrapper import Closure, Wrapper, value_of
from farfield.optim.robust import coordinate_median


class RM3(Wrapper):
    """Update with the coordinate-wise median of this gradient and those of the two steps before, as they were computed then.

    Rolling median of means (Chatterjee and Zielinski, 2022): a direction that the examples of a single batch ask for is
    suppressed. It costs no further pass, and the memory of two gradients. Raw gradients are kept: momentum and weight decay are
    the base optimizer's and see the median once. The first two steps of a parameter take its gradient as it is.

    **Arguments:**
    - ``params``: parameters or parameter groups; ``base_optimizer``: the class that makes the update; ``base_kwargs`` go to it.
    - ``window``: how many gradients, odd; 1 is the base optimizer, 3 the paper's.

    ``step()`` reads ``p.grad`` and leaves it as it was; a closure is called once. Parameters without a gradient are skipped and
    keep their history. With a ``torch.amp.GradScaler``: ``scaler.step(optimizer)``, as with any optimizer.

    Raises InputError on a window that is even or below 1.

    >>> theta = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = RM3([theta], torch.optim.SGD, lr=1.0)
    >>> for gradient in (1.0, 5.0, 3.0):
    ...     theta.grad = torch.tensor([gradient])
    ...     optimizer.step()
    >>> theta.data  # -1 - 5 - median(1, 5, 3)
    tensor([-9.])
    """

    def __init__(self, params: Iterable[Any], base_optimizer: type[Optimizer], *, window: int = 3, **base_kwargs: Any):
        if not (isinstance(window, int) and window >= 1 and window % 2):
            raise InputError(f"window is {window}; it must be an odd whole number, at least 1")
        super().__init__(params, base_optimizer, {}, base_kwargs)
        self.window = window
        self._previous: dict[Tensor, list[Tensor]] = {}

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Take one step; return what the closure returned, None without one."""
        loss = value_of(closure)
        medians = {}
        for p in self._params():
            if p.grad is None:
                continue
            before = self._previous.setdefault(p, [])
            medians[p] = coordinate_median([*before, p.grad]) if len(before) == self.window - 1 else p.grad
            if len(before) < self.window - 1:
                before.append(p.grad.clone())
            elif before:
                # A copy, in the memory of the oldest: whoever holds the gradient may write to it.
                before.append(before.pop(0).copy_(p.grad))
        self._update_with(medians)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the base optimizer's state, and the gradients before by the number of their parameter."""
        numbers = {p: i for i, p in enumerate(self._params())}
        return {**super().state_dict(), "previous": {numbers[p]: list(kept) for p, kept in self._previous.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` returned."""
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "previous"})
        params = self._params()
        self._previous = {
            params[i]: [g.clone().to(params[i]) for g in kept] for i, kept in state_dict["previous"].items()
        }
