"""The winsorized mean of the gradients of single examples, in place of their mean."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from farfield.errors import InputError
from farfield.optim._wrapper import Closure, Wrapper, value_of
from farfield.optim.robust import winsorized_mean


class WinsorizedGrad(Wrapper):
    """Update with the mean over examples of gradients whose c smallest and c largest values are clipped, in each coordinate.

    What at most c examples of a mini-batch ask for is not learned from it (winsorized gradient descent; Chatterjee, ICLR 2020).

    **Arguments:**
    - ``params``: parameters or parameter groups; ``base_optimizer``: the class that makes the update; ``base_kwargs`` go to it.
    - ``c``: examples clipped on each side, at least 0 and below half of a batch; 0 is the base optimizer.

    ``step()`` reads the gradients of single examples from ``p.grad_sample`` (b, ...), where Opacus leaves them and
    `farfield.nn.per_example_gradients` can be put, and clears it; a closure is called once before. ``p.grad`` is not looked at.
    Parameters without gradients are skipped.

    Raises InputError on a c below 0.

    >>> theta = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = WinsorizedGrad([theta], torch.optim.SGD, c=1, lr=1.0)
    >>> theta.grad_sample = torch.tensor([[0.0], [1.0], [2.0], [3.0], [100.0]])
    >>> optimizer.step()
    >>> theta.data
    tensor([-2.])
    """

    def __init__(self, params: Iterable[Any], base_optimizer: type[Optimizer], *, c: int = 1, **base_kwargs: Any):
        if not (isinstance(c, int) and c >= 0):
            raise InputError(f"c is {c}; it must be a whole number, at least 0")
        super().__init__(params, base_optimizer, {}, base_kwargs)
        self.c = c

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Take one step; return what the closure returned, None without one.

        Raises InputError where no parameter has gradients of single examples, they are not (b, ...), or 2 c is not below b.
        """
        loss = value_of(closure)
        means = {}
        for p in self._params():
            samples = getattr(p, "grad_sample", None)
            if samples is None:
                continue
            if samples.shape[1:] != p.shape:
                raise InputError(
                    f"grad_sample of a parameter of shape {tuple(p.shape)} has shape {tuple(samples.shape)}; expected (b, ...)"
                )
            means[p] = winsorized_mean(samples, self.c)
        if not means:
            raise InputError("no parameter has grad_sample, the gradients of single examples")
        self._update_with(means)
        for p in means:
            p.grad_sample = None
        return loss
