"""What recipes share whose optimizer, or whose penalty, passes a batch through the model more than once."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from farfield.methods.method import cross_entropy, label_loss
from farfield.nn import disable_running_stats
from farfield.train import Loss

Penalty = Callable[[nn.Module, Mapping[str, Any], Tensor], Tensor]


def counted_once(optimizer: torch.optim.Optimizer, model: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which batch normalisation's running statistics move in the first pass of a step alone.

    >>> counted_once(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), nn.Linear(1, 1))
    <contextlib.nullcontext object at ...>
    """
    return disable_running_stats(model) if getattr(optimizer, "perturbed", False) else nullcontext()


def cross_entropy_counted_once(optimizer: torch.optim.Optimizer) -> Loss:
    """Return the cross-entropy for an optimizer of two passes."""

    def loss(model: nn.Module, batch: dict[str, Any]) -> Tensor:
        with counted_once(optimizer, model):
            return cross_entropy(model, batch)

    return loss


def penalised(optimizer: torch.optim.Optimizer, penalty: Penalty) -> Loss:
    """Return the cross-entropy plus ``penalty(model, batch, logits)``, for an optimizer of one pass or of two.

    A trust-region penalty under SAM or ASAM is made of this: the penalty is then part of both passes.

    >>> sgd = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    >>> loss = penalised(sgd, lambda model, batch, logits: logits.square().sum())
    >>> loss(nn.Identity(), {"x": torch.tensor([[0.0, 0.0]]), "y": torch.tensor([0])})
    tensor(0.6931)
    """

    def loss(model: nn.Module, batch: dict[str, Any]) -> Tensor:
        with counted_once(optimizer, model):
            logits = model(batch["x"])
            return label_loss(logits, batch["y"]) + penalty(model, batch, logits)

    return loss
