"""Between the pretrained and the fine-tuned weights."""

import copy
from collections.abc import Iterable

import torch
from torch import nn

from farfield.errors import InputError
from farfield.methods.lp_ft import lp_ft, probe_steps
from farfield.methods.method import Choice, Fitted, method
from farfield.reuse import wise_ft as interpolate
from farfield.tasks.task import Task
from farfield.train import Hook


@method(
    "wise-ft",
    source="Wortsman et al., CVPR 2022",
    space={"alpha": Choice((0.25, 0.5, 0.75, 1.0)), "probe": Choice((0.25, 0.5))},
)
def wise_ft(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    alpha: float = 0.5,
    probe: float = 0.25,
) -> Fitted:
    """Fine-tune and go back part of the way: the weights lie between those before and after fine-tuning.

    A new head has no weights before fine-tuning, so it is trained on the frozen features first (a
    zero-shot head in the paper, which needs a model of images and text). Made for pretrained
    models; without pretraining the way back leads to random features. It costs as much as `erm`, or
    less.

    **Arguments:** as `erm`, except that each hook gets the interpolated model; ``alpha``: 0 keeps
    the pretrained weights, 1 the fine-tuned ones; ``probe``: share of the steps that train the head
    alone, from 0 to below 1.

    Raises InputError on an alpha outside [0, 1] or a share out of range.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = wise_ft(nn.load("mlp?hidden=32", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}; it must be from 0 to 1")
    probing = probe_steps(probe, steps)
    hooks, between, start = tuple(hooks), copy.deepcopy(model), _weights(model)

    @torch.no_grad()
    def mix(step: int, model: nn.Module, value: float) -> None:
        if step == probing:
            start.update(_weights(model))
        # Only where somebody looks: an interpolation is a copy of all weights.
        if hooks:
            between.load_state_dict(
                interpolate(start, model.state_dict(), alpha) if step > probing else model.state_dict()
            )
            for hook in hooks:
                hook(step, between, value)

    tuned = lp_ft(
        model,
        task,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        hooks=[mix],
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        probe=probe,
    )
    between.load_state_dict(interpolate(start, model.state_dict(), alpha))
    return Fitted(between, tuned.history)


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
