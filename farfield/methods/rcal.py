"""Representation calibration: wrong labels and rare classes, held to a representation that never saw labels."""

from collections.abc import Iterable

import torch
from torch import nn

from farfield.augment import RandomView
from farfield.errors import InputError
from farfield.methods.method import (
    Choice,
    Fitted,
    Range,
    adamw,
    check_at_least,
    default_learning_rate,
    method,
    trainable,
    training_batches,
)
from farfield.reuse.moco import contrast
from farfield.reuse.rcal import Encoder, anchors, rcal_fit
from farfield.tasks.task import Task, Tokens, column
from farfield.train import Hook


@method(
    "rcal",
    source="Zhang et al., ICCV 2023",
    space={
        "anchor_weight": Range(0.1, 10.0, log=True),
        "gamma_mean": Range(0.0, 0.5),
        "mixup_alpha": Choice((0.0, 0.2, 1.0)),
        "contrastive": Choice((0.0, 0.5, 1.0)),
    },
)
def rcal(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    contrastive: float = 0.5,
    anchor_weight: float = 1.0,
    gamma_mean: float = 0.1,
    gamma_cov: float = 0.5,
    mixup_alpha: float = 1.0,
) -> Fitted:
    """Learn features without labels, then a classifier that stays close to them and sees all classes alike.

    Momentum contrast on the training inputs comes first (`farfield.reuse.contrast`), then `farfield.reuse.rcal_fit`: class Gaussians without
    outliers, points drawn from them until classes are balanced, mixup, and the penalty to the first features. It costs about 1.8 times
    `erm` on a small CNN and 3 times on an MLP (300 steps); most of it is the first stage, whose steps no checkpoint is chosen from. Covariances of d features cost
    d^3 for each class: some thousands of features (``linear`` on words) take seconds each.

    **Arguments:** as `erm`; ``contrastive``: steps of the first stage as a share of ``steps``, at least 0; 0 keeps the representation that the
    model has, as for a pretrained backbone; a model without a trainable encoder (``linear``, ``tune=probe``) has none to learn. The others as
    in `farfield.reuse.rcal_fit`.

    Raises InputError on a setting out of range, on labels at several positions of an example, and where a class has fewer than two
    training rows, of which no Gaussian can be made.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = rcal(nn.load("mlp?hidden=32", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    check_at_least(0, contrastive=contrastive, anchor_weight=anchor_weight)
    if column(task.train, "y").ndim != 1:
        raise InputError(f"rcal needs one label for each example; the task {task.name} has one at every position")
    rate, first = default_learning_rate(model, learning_rate), round(contrastive * steps)
    encoder = Encoder(model)
    if first and _learns_features(model):
        padding = task.inputs.padding if isinstance(task.inputs, Tokens) else 0
        view = RandomView(padding=padding, seed=seed)
        contrast(
            encoder,
            task.train,
            view,
            steps=first,
            batch_size=batch_size,
            learning_rate=rate,
            weight_decay=weight_decay,
            seed=seed,
        )
    fitted = rcal_fit(
        model,
        anchors(model, task.train),
        task.train,
        steps=steps,
        classes=task.outputs.count,
        optimizer=adamw(model, learning_rate, weight_decay),
        batch_size=batch_size,
        batches=training_batches(task, batch_size, seed=seed),
        seed=seed,
        hooks=hooks,
        gamma_mean=gamma_mean,
        gamma_cov=gamma_cov,
        anchor_weight=anchor_weight,
        mixup_alpha=mixup_alpha,
    )
    return Fitted(fitted.model, fitted.history)


def _learns_features(model: nn.Module) -> bool:
    """Say whether anything but the head can be trained."""
    head = getattr(model, "head", None)
    own = {id(p) for p in head.parameters()} if isinstance(head, nn.Module) else set()
    if not own:
        last = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1:]
        own = {id(p) for m in last for p in m.parameters()}
    return any(id(p) not in own for p in trainable(model))
