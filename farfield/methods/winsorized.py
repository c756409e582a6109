"""Training on the winsorized mean of the gradients of single examples, which drops what few examples ask for."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from farfield import optim
from farfield.errors import InputError
from farfield.methods.method import Choice, Fitted, adamw_settings, method, minimise, trainable
from farfield.nn.per_example import batch_norms, per_example_gradients
from farfield.tasks.task import Task
from farfield.train import Hook


@method("winsorized", source="Chatterjee, ICLR 2020", space={"c": Choice((1, 2, 4, 8))}, ablation=True)
def winsorized(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    c: int = 1,
) -> Fitted:
    """Minimise the mean training loss with AdamW on gradients whose extremes over examples are clipped.

    Against noisy labels. On one core a step takes 10 to 80 times as long as one of erm, the more the more parameters there are,
    which is why it is not among "all" methods (`m3` and `rm3` are, in its place); models that ``torch.func.vmap`` cannot take (the
    text models of transformers) need as many passes as a batch has examples. Memory is that of a gradient for each example.
    Batch normalisation keeps its running statistics: with those of the batch, no example has a gradient of its own. The paper's
    base optimizer is plain SGD; here it is that of all methods, AdamW.

    **Arguments:** as `erm`; ``c``: see `farfield.optim.WinsorizedGrad`.

    Raises InputError where 2 c is not below the size of a batch.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = winsorized(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    if 2 * c >= min(batch_size, len(task.train)):
        raise InputError(
            f"c is {c}; winsorized clips that many on each side of a batch of {batch_size}: 2 c must be less"
        )
    settings = adamw_settings(model, learning_rate, weight_decay)
    optimizer = optim.WinsorizedGrad(trainable(model), torch.optim.AdamW, c=c, **settings)
    fixed = [m for m in batch_norms(model) if m.training]
    loss = ExampleGradients(fixed)
    fitted = minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
    for layer in fixed:
        layer.train()
    return fitted


class ExampleGradients:
    """The mean cross-entropy of a batch, which leaves the gradient of each example in ``p.grad_sample``; its backward does nothing.

    **Arguments:** ``fixed``: layers to keep in evaluation mode, those of batch normalisation.

    >>> model = nn.Linear(2, 3)
    >>> loss = ExampleGradients()(model, {"x": torch.zeros(4, 2), "y": torch.zeros(4, dtype=torch.long)})
    >>> model.weight.grad_sample.shape
    torch.Size([4, 3, 2])
    """

    def __init__(self, fixed: Iterable[nn.Module] = ()):
        self.fixed = list(fixed)

    def __call__(self, model: nn.Module, batch: dict[str, Any]) -> Tensor:
        for layer in self.fixed:
            layer.eval()
        losses, gradients = per_example_gradients(model, _cross_entropies, batch["x"], batch["y"])
        for name, p in model.named_parameters():
            if name in gradients:
                p.grad_sample = gradients[name]
        return losses.mean().requires_grad_()


def _cross_entropies(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy (n,) of logits (n, classes), or the mean over positions of (n, positions, classes)."""
    losses = nn.functional.cross_entropy(logits.flatten(0, -2), y.flatten().long(), reduction="none")
    return losses.reshape(len(y), -1).mean(1)
