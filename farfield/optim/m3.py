"""The median of the gradients of three parts of a mini-batch, in place of their mean."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from farfield.errors import InputError
from farfield.optim._wrapper import Closure, Wrapper
from farfield.optim.robust import coordinate_median


class M3(Wrapper):
    """Update with the coordinate-wise median of the gradients of three groups of examples.

    Median of means (Chatterjee and Zielinski, 2022): of a direction that the examples of a single group ask for, nothing is
    left. The groups split a mini-batch into equal parts, so a step has the arithmetic that it has without, in smaller passes.

    **Arguments:**
    - ``params``: parameters or parameter groups; ``base_optimizer``: the class that makes the update; ``base_kwargs`` go to it.
    - ``groups``: how many, odd; 1 is the base optimizer, 3 the paper's.

    ``step(closures)`` takes a closure for each group (forward, backward; returns the group's loss), or one closure, which is then
    called once for each: ``optimizer.group``, from 0, says for which. Gradients are cleared before each. ``p.grad`` is the
    median afterwards. A parameter that some groups did not reach counts as a gradient of 0 there.

    Raises InputError on a number of groups that is even or below 1.

    >>> theta = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = M3([theta], torch.optim.SGD, lr=1.0)
    >>> def part(gradient):
    ...     def closure():
    ...         loss = gradient * theta.sum()
    ...         loss.backward()
    ...         return loss
    ...     return closure
    >>> loss = optimizer.step([part(1.0), part(5.0), part(3.0)])
    >>> theta.data
    tensor([-3.])
    """

    def __init__(self, params: Iterable[Any], base_optimizer: type[Optimizer], *, groups: int = 3, **base_kwargs: Any):
        if not (isinstance(groups, int) and groups >= 1 and groups % 2):
            raise InputError(f"groups is {groups}; it must be an odd whole number, at least 1")
        super().__init__(params, base_optimizer, {}, base_kwargs)
        self.groups = groups
        self.group = 0

    @torch.no_grad()
    def step(self, closures: Closure | Sequence[Closure] | None = None) -> Tensor:
        """Take one step and return the mean of the groups' losses.

        Raises InputError without closures, or with another number of them.
        """
        each = [closures] * self.groups if callable(closures) else list(closures or ())
        if len(each) != self.groups:
            raise InputError(
                f"{len(each)} closures came; M3 needs one for each of its {self.groups} groups, or one for all"
            )
        params, losses = self._params(), []
        found: list[list[Tensor | None]] = []
        for self.group, closure in enumerate(each):
            for p in params:
                p.grad = None
            with torch.enable_grad():
                losses.append(closure().detach())
            found.append([p.grad for p in params])
        self.group = 0
        for p, *gradients in zip(params, *found):
            reached = any(g is not None for g in gradients)
            filled = [torch.zeros_like(p) if g is None else g for g in gradients]
            p.grad = coordinate_median(filled) if reached else None
        self.base_optimizer.step()
        return torch.stack(losses).mean()
