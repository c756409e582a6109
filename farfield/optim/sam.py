"""Sharpness-aware minimisation: the gradient at the worst point nearby."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from farfield.errors import InputError


class SAM(Optimizer):
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

    Raises InputError on a negative rho.

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
        # torch writes defaults into the groups it is given; the caller's dicts stay as they are.
        params = [dict(p) if isinstance(p, dict) else p for p in params]
        super().__init__(params, {"rho": rho})
        self._check("rho")
        self.base_optimizer = base_optimizer(self.param_groups, **base_kwargs)
        self.defaults.update(self.base_optimizer.defaults)
        self._saved: list[tuple[Tensor, Tensor]] | None = None
        self._share_with_base()

    def _check(self, name: str) -> None:
        for group in self.param_groups:
            if not group[name] >= 0:
                raise InputError(f"{name} is {group[name]}; it must be at least 0")

    def _share_with_base(self) -> None:
        self.param_groups = self.base_optimizer.param_groups
        self.state = self.base_optimizer.state

    @property
    def perturbed(self) -> bool:
        """Whether the parameters are at the worst point: between `first_step` and `second_step`."""
        return self._saved is not None

    @torch.no_grad()
    def first_step(self) -> None:
        """Move the parameters to the worst point, keep where they were, and clear the gradients."""
        if self.perturbed:
            raise RuntimeError("first_step was called twice without a second_step between")
        groups = [(group, [p for p in group["params"] if p.grad is not None]) for group in self.param_groups]
        scales = [self._scales(group, params) for group, params in groups]
        # T g, with T the identity here and |theta| + eta in ASAM; epsilon = rho T (T g) / |T g|.
        scaled = [
            [p.grad if t is None else t * p.grad for p, t in zip(params, ts)] for (_, params), ts in zip(groups, scales)
        ]
        norm = torch.nn.utils.get_total_norm([g for gs in scaled for g in gs]) + 1e-12
        self._saved = []
        for (group, params), ts, gs in zip(groups, scales, scaled):
            for p, t, g in zip(params, ts, gs):
                self._saved.append((p, p.detach().clone()))
                p.add_((g if t is None else t * g) * (group["rho"] / norm).to(p))
        self.zero_grad(set_to_none=True)

    def _scales(self, group: dict[str, Any], params: list[Tensor]) -> list[Tensor | None]:
        """Return the diagonal of T for each parameter; None is the identity."""
        return [None] * len(params)

    def second_step(self) -> None:
        """Move the parameters back and let the base optimizer update them with the gradient at the worst point."""
        if not self.perturbed:
            raise RuntimeError("second_step was called without a first_step before it")
        self._move_back()
        self.base_optimizer.step()

    @torch.no_grad()
    def _move_back(self) -> None:
        # A saved copy and not a subtraction: theta + epsilon - epsilon is not theta in floating point.
        for p, before in self._saved or ():
            p.copy_(before)
        self._saved = None

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor:
        """Take one step and return the loss at the parameters before it.

        Raises InputError without a closure.
        """
        if closure is None:
            raise InputError(
                f"{type(self).__name__}.step needs a closure: it computes the gradient twice, so step(closure) calls it twice"
            )
        with torch.enable_grad():
            loss = closure()
        self.first_step()
        try:
            with torch.enable_grad():
                closure()
        except BaseException:
            self._move_back()
            raise
        self.second_step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the base optimizer's state, whose groups hold ``rho`` too."""
        return self.base_optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.base_optimizer.load_state_dict(state_dict)
        self._share_with_base()
