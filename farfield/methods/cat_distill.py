"""Networks trained apart, squeezed into one of the plain size."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.methods._members import another, check_head, joined_batches
from farfield.methods.method import (
    Choice,
    Fitted,
    adamw_settings,
    check_at_least,
    label_loss,
    method,
    training_batches,
)
from farfield.reuse import Distill
from farfield.tasks.task import Task, column
from farfield.train import Hook, train


@method(
    "cat-distill",
    source="Zhang & Bottou, ICML 2023",
    space={"members": Choice((2, 3)), "tau": Choice((1.0, 2.0, 4.0))},
)
def cat_distill(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    members: int = 2,
    tau: float = 1.0,
) -> Fitted:
    """Train several networks that differ by the seed, then one that matches each of them through a head of its own.

    The networks are trained by `erm` as in `cat`, all steps each; then the given model is trained on their outputs
    (`farfield.reuse.Distill`), for as many steps. Its own head becomes the mean of the heads. The result is as large as the
    model, so that prediction costs no more; training costs ``members`` + 1 times `erm`, and the networks' forward passes.

    **Arguments:** as `erm`, where hooks see the last training only, with the mean of the heads in place; ``members``: networks, at
    least 1; ``tau``: temperature of what is matched, above 0.

    Raises InputError on a setting out of range, a task with a class at every position, or a model that is no
    `farfield.nn.Classifier` with a linear head.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = cat_distill(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    check_at_least(1, members=members, steps=steps)
    check_head(model, "cat-distill")
    if column(task.train, "y").ndim > 1:
        raise InputError(f"cat-distill matches one output for each example; {task.name} has a class at every position")
    teachers = nn.ModuleList(another(model, seed=seed * 1_000 + i + 1) for i in range(members))
    settings = adamw_settings(model, learning_rate, weight_decay)

    def own_losses(group: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        pairs = zip(group, batch["x"].chunk(members), batch["y"].chunk(members))
        return torch.stack([label_loss(network(x), y) for network, x, y in pairs]).sum()

    teaching = train(
        teachers,
        task.train,
        own_losses,
        torch.optim.AdamW([p for p in teachers.parameters() if p.requires_grad], **settings),
        steps=steps,
        batches=joined_batches(task, batch_size, members, seed=seed + 1),
        seed=seed,
    )
    device = model.head.weight.device
    example = task.train[torch.arange(1)]["x"].to(device)
    distill = Distill(model.encoder, list(teachers), "logits", tau, example=example, seed=seed)

    def watch(step: int, _distill: nn.Module, value: float) -> None:
        take_mean()
        for hook in hooks:
            hook(step, model, value)

    def take_mean() -> None:
        model.head.load_state_dict(distill.source_head().state_dict())

    hooks = tuple(hooks)
    history = train(
        distill,
        task.train,
        lambda m, batch: m(batch["x"]),
        torch.optim.AdamW([p for p in distill.parameters() if p.requires_grad], **settings),
        steps=steps,
        batches=training_batches(task, batch_size, seed=seed),
        seed=seed,
        hooks=[watch] if hooks else [],
    )
    take_mean()
    history.seconds += teaching.seconds
    return Fitted(model, history)
