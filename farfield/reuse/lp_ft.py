"""Fine-tuning in two parts: the head alone on frozen features, then everything."""

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from farfield.batches import uniform
from farfield.errors import InputError
from farfield.nn.evaluating import evaluating
from farfield.tasks.task import Split
from farfield.train import History, Hook, Loss, to_device, train


def lp_ft(
    model: nn.Module,
    data: Split,
    loss: Loss | None = None,
    *,
    probe_steps: int,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    probe_learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    seed: int = 0,
    batches: Iterable[Tensor] | None = None,
    hooks: Iterable[Hook] = (),
) -> History:
    """Train the head on the frozen rest (linear probing), then the whole model (fine-tuning), in place, by AdamW.

    A random head would push the pretrained features about before it is right; one that was trained
    first leaves them nearer to where they were. While the head is probed the rest is in evaluation
    mode and without gradients, so that a step costs a forward pass; parameters that need no
    gradient to begin with need none afterwards.

    **Arguments:**
    - ``model``: with a part ``head`` that is a module; of any other, the last ``nn.Linear`` that
      runs is the head.
    - ``data``: a split with the columns that ``loss`` takes; ``loss``: ``(model, batch) ->
      scalar``, cross-entropy of ``model(batch["x"])`` against ``batch["y"]`` by default.
    - ``probe_steps``, ``steps``: optimizer steps of each part, at least 0, one of them above 0.
      With ``steps`` 0 it is linear probing.
    - ``batches``, ``hooks``: as for `farfield.train.train`; one stream of batches and of step
      numbers runs through both parts.

    **Returns:** the history of both parts, one after the other.

    Raises InputError on steps out of range, and where no linear layer runs.

    Source: Kumar et al., "Fine-tuning can distort pretrained features and underperform
    out-of-distribution", ICLR 2022.

    >>> from farfield.tasks import Table
    >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> data = Table(x=torch.eye(2), y=torch.tensor([0, 1]))
    >>> len(lp_ft(model, data, probe_steps=3, steps=2).loss)
    5
    """
    if probe_steps < 0 or steps < 0 or probe_steps + steps < 1:
        raise InputError(
            f"probe_steps is {probe_steps} and steps {steps}; both must be at least 0, one of them at least 1"
        )
    head = head_of(model, data)
    # One stream through both parts, as the steps of one training.
    stream = iter(uniform(len(data), batch_size, seed=seed) if batches is None else batches)
    hooks, history = tuple(hooks), History()
    loss = _cross_entropy if loss is None else loss
    if probe_steps:
        mine = {id(p) for p in head.parameters()}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in mine]
        optimizer = _adamw(head, probe_learning_rate, weight_decay)

        def probing(model: nn.Module, batch: dict) -> Tensor:
            with evaluating(model):
                return loss(model, batch)

        for p in rest:
            p.requires_grad_(False)
        try:
            history = train(
                model, data, probing, optimizer, steps=probe_steps, seed=seed, batches=_taken(stream, probe_steps),
                hooks=hooks,
            )  # fmt: skip
        finally:
            for p in rest:
                p.requires_grad_(True)
    if steps:
        later = [lambda step, model, value, hook=hook: hook(probe_steps + step, model, value) for hook in hooks]
        optimizer = _adamw(model, learning_rate, weight_decay)
        second = train(model, data, loss, optimizer, steps=steps, seed=seed, batches=_taken(stream, steps), hooks=later)
        history = History(history.loss + second.loss, history.seconds + second.seconds)
    return history


def head_of(model: nn.Module, data: Split) -> nn.Module:
    """Return a model's head: its part ``head``, else the last ``nn.Linear`` that runs on a row of the data.

    Raises InputError where none runs.

    >>> from farfield.tasks import Table
    >>> head_of(nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 3)), Table(x=torch.zeros(1, 2)))
    Linear(in_features=4, out_features=3, bias=True)
    """
    if isinstance(getattr(model, "head", None), nn.Module):
        return model.head
    ran: list[nn.Module] = []
    hooks = [m.register_forward_hook(lambda m, *_: ran.append(m)) for m in model.modules() if isinstance(m, nn.Linear)]
    try:
        with torch.no_grad(), evaluating(model):
            model(to_device(data[torch.arange(1)], next(model.parameters()).device)["x"])
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise InputError(
            f"{type(model).__name__} has no part named head, and no nn.Linear ran: which part is the head?"
        )
    return ran[-1]


def _taken(stream: Iterable[Tensor], steps: int) -> Iterable[Tensor]:
    return itertools.islice(stream, steps)


def _adamw(module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise InputError(
            f"{type(module).__name__} has no parameter that requires a gradient; there is nothing to train"
        )
    # Not every device has the fused kernel.
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay, fused=fused)


def _cross_entropy(model: nn.Module, batch: dict) -> Tensor:
    return nn.functional.cross_entropy(model(batch["x"]), batch["y"])
