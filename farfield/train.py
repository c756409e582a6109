"""The one training loop. Every method that trains by gradients runs through it; hooks take the place of copies of it."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from farfield.batches import uniform
from farfield.errors import InputError, NonFiniteLoss
from farfield.nn.evaluating import evaluating as evaluating
from farfield.tasks.task import Split

Loss = Callable[[nn.Module, dict[str, Any]], Tensor]
Hook = Callable[[int, nn.Module, float], None]


@dataclass
class History:
    """What a training run leaves behind: the loss of each step, and the wall-clock seconds (hooks included).

    >>> History(loss=[0.5, 0.25], seconds=0.1).loss[-1]
    0.25
    """

    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0


def train(
    model: nn.Module,
    data: Split,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    batches: Iterable[Tensor] | None = None,
    hooks: Iterable[Hook] = (),
) -> History:
    """Train a model in place for a number of optimizer steps.

    The optimizer is stepped with a closure, the PyTorch protocol, so sharpness-aware optimizers that evaluate the loss
    more than once are ordinary optimizers here. Device and precision are set outside: batches go to the device of the
    model's first parameter, and ``with torch.autocast(...): train(...)`` is mixed precision.

    **Arguments:**
    - ``data``: a split; ``data[indices]`` is the batch given to ``loss``.
    - ``loss``: ``loss(model, batch)`` -> scalar tensor.
    - ``steps``: number of optimizer steps, at least 1.
    - ``batch_size``: examples per step; each example once per epoch, in an order drawn from ``seed``.
    - ``batches``: index tensors to use in place of that order, see `farfield.batches`.
    - ``hooks``: each is called as ``hook(step, model, loss)`` after every step, with steps counted from 1.

    The same seed gives the same run on the same machine: dropout and other draws of the model start from it too, and
    the caller's random state is left as it was.

    Raises InputError on steps or batch_size below 1 and on ``batches`` that end early, NonFiniteLoss where the loss becomes
    NaN or infinite.

    >>> from farfield.tasks import Table
    >>> model = nn.Linear(1, 1)
    >>> data = Table(x=torch.tensor([[0.0], [1.0]]), y=torch.tensor([[1.0], [3.0]]))
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    >>> history = train(model, data, lambda m, b: (m(b["x"]) - b["y"]).square().mean(), sgd, steps=100)
    >>> history.loss[-1] < 1e-3
    True
    """
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1")
    if batches is None:
        batches = uniform(len(data), batch_size, seed=seed)
    hooks = tuple(hooks)
    device = next(model.parameters()).device
    # Reading the loss waits for a GPU, so there it is looked at every 50 steps only, unless a hook wants each value.
    look_every = 50 if device.type != "cpu" and not hooks else 1
    losses: list[float] = []
    pending: list[Tensor] = []
    start = time.perf_counter()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model.train()
        indices: Iterator[Tensor] = iter(batches)
        for step in range(1, steps + 1):
            rows = next(indices, None)
            if rows is None:
                raise InputError(f"batches ended after {step - 1} of {steps} steps; it must hold at least as many")
            batch = to_device(data[rows], device)

            def closure(batch=batch) -> Tensor:
                # What zero_grad does, without its profiler record, which costs as much as a small layer.
                for group in optimizer.param_groups:
                    for parameter in group["params"]:
                        parameter.grad = None
                value = loss(model, batch)
                value.backward()
                return value

            pending.append(optimizer.step(closure).detach())
            if step % look_every == 0 or step == steps:
                _settle(pending, losses)
            for hook in hooks:
                hook(step, model, losses[-1])
    return History(losses, time.perf_counter() - start)


def _settle(pending: list[Tensor], losses: list[float]) -> None:
    """Move pending loss tensors into the list of floats, refusing the first that is not finite."""
    for value in pending:
        number = float(value)
        if not math.isfinite(number):
            raise NonFiniteLoss(step=len(losses) + 1, value=number, before=losses[-3:])
        losses.append(number)
    pending.clear()


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return the batch with its tensors on this device (as it is where they already lie there).

    >>> to_device({"y": torch.zeros(1)}, torch.device("cpu"))["y"].device
    device(type='cpu')
    """
    if device.type == "cpu":
        return batch
    return {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}


@torch.no_grad()
def predict(model: nn.Module, data: Split, *, batch_size: int = 512) -> Tensor:
    """Return the model's outputs ``(n, classes)`` on every row, on the CPU, in evaluation mode.

    The training flags of the model are put back afterwards.

    >>> from farfield.tasks import Table
    >>> predict(nn.Linear(2, 3), Table(x=torch.zeros(5, 2))).shape
    torch.Size([5, 3])
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with evaluating(model):
        return torch.cat(
            [
                model(to_device(data[torch.arange(i, min(i + batch_size, len(data)))], device)["x"]).float().cpu()
                for i in range(0, len(data), batch_size)
            ]
        )
