"""LEVI: the layers of a pretrained model, each joined with a small model of the task's own data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import nn
from farfield.errors import InputError
from farfield.losses import DeepSupervisionLoss
from farfield.methods._new_parts import new_rate
from farfield.methods.method import (
    Choice,
    Fitted,
    adamw_settings,
    check_at_least,
    default_learning_rate,
    label_loss,
    method,
    minimise,
    trainable,
)
from farfield.reuse import layer_features
from farfield.tasks.task import Table, Task, column
from farfield.train import Hook, to_device

CACHED = "layer "


def assemble(
    model: torch_nn.Module, *, task: Task, hidden: int = 64, width: int = 32, layers: int = 3, **_: object
) -> nn.Classifier:
    """Return what `levi` returns with these settings, untrained; the other settings do not change it.

    >>> from farfield import tasks
    >>> task = tasks.load("digits/rotation")
    >>> assemble(nn.load("mlp?hidden=32", task), task=task)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    return join(model, task, hidden=hidden, width=width, layers=layers).classifier()


@method(
    "levi",
    source="Roh et al., ICML 2024",
    space={"hidden": Choice((32, 64, 128)), "width": Choice((16, 32, 64))},
    assemble=assemble,
)
def levi(
    model: torch_nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    hidden: int = 64,
    width: int = 32,
    layers: int = 3,
) -> Fitted:
    """Keep a pretrained model frozen and train light heads on several of its layers, each beside a small model from scratch.

    Heads predict alone in training (a shared loss) and together afterwards (the mean of their
    probabilities). What is returned is a `farfield.nn.Classifier` whose features are those of the
    layers and of the small model side by side.

    A pretrained model (``hf:``, ``timm:``) stays frozen; the features of an in-memory task are then
    computed once, which costs one forward pass over the training data in place of one for each
    step. With LoRA's additions (``tune=lora``) these are trained through the heads, at the model's
    own rate, and a step costs a step of `erm` and the small parts. A model without pretraining has
    no view of its own yet: it is trained by `erm` on its own head alongside, and the heads read it
    without a gradient; that costs `erm` and the small parts, up to 3 times `erm` for networks that
    are themselves as small as these parts.

    **Arguments:** as `erm`; ``hidden``: units of each head, at least 0 (0: linear heads);
    ``width``: features of the small model (see `farfield.nn.small_model`); ``layers``: how many,
    evenly spread up to the last. The new parts' learning rate is 1e-3 at the model's own rate, and
    moves with it.

    Raises InputError on a setting out of range, and on a task with a class at every position.

    >>> from farfield import tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = levi(nn.load("mlp?hidden=32", task), task, steps=20)
    >>> fitted.model(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    ensemble = join(model, task, hidden=hidden, width=width, layers=layers, seed=seed)
    joined, views = ensemble.classifier(), ensemble.views
    rate = default_learning_rate(model, learning_rate)
    beside = not getattr(model, "pretrained", False)
    new = [*ensemble.junctions.parameters(), *views.small.parameters()]
    groups = [{"params": new, "lr": new_rate(model, rate)}, {"params": trainable(model), "lr": rate}]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]], **adamw_settings(model, rate, weight_decay)
    )
    shared = DeepSupervisionLoss(label_loss)
    logits: list[Tensor] = []

    def loss(joined: torch_nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        cached = {name: batch[CACHED + name] for name in ensemble.layers if CACHED + name in batch}
        features = cached or views.features(batch["x"])
        if not beside:
            return shared(ensemble.from_features(features, batch["x"]), batch["y"])
        # The two have no parameter in common: one backward pass trains the model as erm does, and the new parts on what it gives.
        seen = {name: rows.detach() for name, rows in features.items()}
        return label_loss(logits[-1], batch["y"]) + shared(ensemble.from_features(seen, batch["x"]), batch["y"])

    watch = model.register_forward_hook(lambda _model, _inputs, output: logits.__setitem__(slice(None), [output]))
    try:
        trained = replace(task, train=_with_features(views, task.train)) if views.frozen else task
        fitted = minimise(joined, trained, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
    finally:
        watch.remove()
    return Fitted(joined, fitted.history)


def join(
    model: torch_nn.Module, task: Task, *, hidden: int = 64, width: int = 32, layers: int = 3, seed: int = 0
) -> nn.LayerwiseEnsemble:
    """Return a model joined with a new small one at some of its layers, for the classes of a task.

    A pretrained model is frozen, unless a part of its encoder is so already and another is not, as
    LoRA leaves it.

    **Arguments:** as `levi`; ``seed``: of the new weights.

    >>> from farfield import tasks
    >>> task = tasks.load("digits/rotation")
    >>> join(nn.load("mlp?hidden=32", task), task).layers
    ('encoder.1', 'encoder.3', 'encoder.5')
    """
    check_at_least(0, hidden=hidden)
    check_at_least(1, width=width, layers=layers)
    if column(task.train, "y").ndim > 1:
        raise InputError(f"levi takes one class for each example; {task.name} has a class at every position")
    device = next(model.parameters()).device
    example = to_device(task.train[torch.arange(2) % len(task.train)], device)["x"]
    within = "encoder" if isinstance(getattr(model, "encoder", None), torch_nn.Module) else ""
    flags = {p.requires_grad for p in model.get_submodule(within).parameters()}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.LayerwiseEnsemble(
            model,
            nn.spread_layers(model, example, count=layers, within=within),
            nn.small_model(task, width=width, seed=seed).encoder.to(device),
            out_dim=task.outputs.count,
            example=example,
            hidden=hidden,
            freeze=getattr(model, "pretrained", False) and flags != {True, False},
        ).to(device)


def _with_features(views: nn.LayerViews, split: object) -> object:
    """Return the split with the layers' features as further columns, where it lies in memory."""
    if not isinstance(split, Table):
        return split
    found = layer_features(views.pretrained, list(views.widths), split)
    return split.replace(**{CACHED + name: rows for name, rows in found.items()})
