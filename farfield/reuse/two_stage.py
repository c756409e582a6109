"""Fine-tuning a concatenation: each network alone first, then one head on all of them."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.nn.classifier import Classifier
from farfield.nn.linear_probe import plain_head
from farfield.reuse.concatenation import Cat
from farfield.tasks.task import Split, Table, Task, column
from farfield.train import predict, train


def finetune(
    model: nn.Module,
    data: Split,
    *,
    steps: int,
    learning_rate: float = 0.01,
    weight_decay: float = 0.0,
    batch_size: int = 256,
    seed: int = 0,
) -> nn.Module:
    """Train all of a classifier in place with SGD (momentum 0.9), its rate falling to 1e-7 by a cosine; returns it.

    **Arguments:** ``data`` with columns x and y; ``steps`` at least 1; the paper takes 100 epochs, a rate out of 0.005, 0.01 and
    0.05, and a weight decay out of 0, 1e-5, 1e-4 and 5e-4.

    Source: Zhang & Bottou, ICML 2023 (the fine-tuning of one network, and "[init]cat" of a `Cat` with ``freeze=False``).

    >>> data = Table(x=torch.eye(4), y=torch.tensor([0, 1, 0, 1]))
    >>> model = finetune(Classifier(nn.Flatten(), nn.Linear(4, 2)), data, steps=20, learning_rate=1.0)
    >>> model(torch.eye(4)).argmax(1).tolist()
    [0, 1, 0, 1]
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=learning_rate, momentum=0.9, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=1e-7)
    train(
        model,
        data,
        _classify,
        optimizer,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        hooks=[lambda *_: schedule.step()],
    )
    return model


def two_stage_finetune(
    encoders: Sequence[nn.Module],
    heads: Sequence[nn.Linear] | None,
    task: Task,
    *,
    stage1: Callable[[nn.Module, Split, int], Any],
    stage2_epochs: int = 2,
    stage2_lr: float = 1e-3,
    batch_size: int = 256,
    seed: int = 0,
) -> Classifier:
    """Return a classifier on the concatenation of networks that were each fine-tuned alone on a task.

    First each encoder is fine-tuned with its own head. Then all are frozen and concatenated, a head starts from the mean of
    the networks' logits (`Cat.head_from`) and is trained briefly. No batch normalisation stands before it, as that would
    break the start. Trained together instead, the networks learn only what the others have not explained already.

    **Arguments:**
    - ``encoders``: modules inputs -> features (rows, width); copies of them are trained.
    - ``heads``: a linear layer for each, copied; None starts from new ones, weights of N(0, 0.01^2) and bias 0.
    - ``task``: only ``task.train`` is used.
    - ``stage1(model, data, seed)``: trains a `Classifier` in place; for the paper's use `finetune`.
    - ``stage2_epochs``: of the head alone, at least 0, where 0 leaves the mean of the logits; ``stage2_lr``: of its SGD with
      momentum 0.9; ``batch_size``.

    Raises InputError where there are no encoders, or another number of heads.

    Source: Zhang & Bottou, ICML 2023 ("[2ft]cat"). The released scripts put batch normalisation before the head for n of 4, 5
    and 10; this is the reading without it.

    >>> from farfield import tasks
    >>> task, encoders = tasks.load("digits"), [nn.Sequential(nn.Flatten(), nn.Linear(64, 8)) for _ in range(2)]
    >>> stage1 = lambda model, data, seed: finetune(model, data, steps=5, seed=seed)
    >>> two_stage_finetune(encoders, None, task, stage1=stage1).head
    Linear(in_features=16, out_features=10, bias=True)
    """
    if not len(encoders):
        raise InputError("encoders is empty; expected at least one module")
    if heads is not None and len(heads) != len(encoders):
        raise InputError(f"{len(heads)} heads came for {len(encoders)} encoders; expected one for each")
    if stage2_epochs < 0:
        raise InputError(f"stage2_epochs is {stage2_epochs}; it must be at least 0")
    tuned = []
    for i, encoder in enumerate(encoders):
        own = copy.deepcopy(encoder).requires_grad_(True)
        if heads is None:
            head = plain_head(_width(own, task.train), task.outputs.count, seed=seed + i)
        else:
            head = copy.deepcopy(heads[i])
        model = Classifier(own, head)
        stage1(model, task.train, seed + i)
        tuned.append(model)
    cat = Cat([model.encoder for model in tuned])
    head = cat.head_from([model.head for model in tuned])
    if stage2_epochs:
        # The features are fixed from here on: computed once, not once an epoch.
        rows = Table(x=predict(cat, task.train), y=column(task.train, "y").cpu()).to(head.weight.device)
        optimizer = torch.optim.SGD(head.parameters(), lr=stage2_lr, momentum=0.9)
        size = min(batch_size, len(rows))
        steps = -(-stage2_epochs * len(rows) // size)
        train(head, rows, _classify, optimizer, steps=steps, batch_size=size, seed=seed)
    return Classifier(cat, head).eval()


def _classify(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    return nn.functional.cross_entropy(model(batch["x"]), batch["y"])


def _width(encoder: nn.Module, data: Split) -> int:
    return predict(encoder, Table(**data[torch.arange(min(2, len(data)))])).shape[1]
