"""What optimizers share that prepare a gradient and let another optimizer make the update."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Closure = Callable[[], Tensor]


class Wrapper(Optimizer):
    """An optimizer around another: the parameter groups and the state are those of the base optimizer.

    Learning-rate schedulers, added groups and state dicts work on it as on any optimizer.

    **Arguments:** ``defaults``: its own settings, which a group may override; ``base_kwargs`` go to the base optimizer.
    """

    def __init__(
        self,
        params: Iterable[Any],
        base_optimizer: type[Optimizer],
        defaults: dict[str, float],
        base_kwargs: dict[str, Any],
    ):
        # torch writes defaults into the groups it is given; the caller's dicts stay as they are.
        params = [dict(p) if isinstance(p, dict) else p for p in params]
        super().__init__(params, dict(defaults))
        self.base_optimizer = base_optimizer(self.param_groups, **base_kwargs)
        self.defaults.update(self.base_optimizer.defaults)
        self._share_with_base()

    def _share_with_base(self) -> None:
        self.param_groups = self.base_optimizer.param_groups
        self.state = self.base_optimizer.state

    def _params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _update_with(self, gradients: dict[Tensor, Tensor]) -> None:
        """Let the base optimizer update these parameters alone, with these gradients; what they hold as gradient comes back."""
        held = {p: p.grad for p in self._params()}
        for p in held:
            p.grad = gradients.get(p)
        try:
            self.base_optimizer.step()
        finally:
            for p, gradient in held.items():
                p.grad = gradient

    def state_dict(self) -> dict[str, Any]:
        """Return the base optimizer's state, whose groups hold the settings of this one too."""
        return self.base_optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.base_optimizer.load_state_dict(state_dict)
        self._share_with_base()


def value_of(closure: Closure | None) -> Tensor | None:
    """Return what a closure returns, None without one; gradients are recorded inside.

    >>> value_of(lambda: torch.ones(()))
    tensor(1.)
    """
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()
