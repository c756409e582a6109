"""Several networks of one kind for a recipe: the given one, and others that differ from it by the seed."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.methods.method import training_batches
from farfield.nn.classifier import Classifier
from farfield.tasks.task import Task


def check_head(model: nn.Module, method: str) -> None:
    """Raise InputError where a model is no encoder with a linear head.

    >>> check_head(nn.Linear(2, 2), "cat")
    Traceback (most recent call last):
    farfield.errors.InputError: cat needs an encoder and a linear head: give it a farfield.nn.Classifier, not a Linear
    """
    if not isinstance(model, Classifier) or not isinstance(model.head, nn.Linear):
        came = (
            f"one with a {type(model.head).__name__}" if isinstance(model, Classifier) else f"a {type(model).__name__}"
        )
        raise InputError(f"{method} needs an encoder and a linear head: give it a farfield.nn.Classifier, not {came}")


def another(model: Classifier, *, seed: int) -> Classifier:
    """Return a copy of a model with weights drawn anew from ``seed``: the head's, and where it is not pretrained all others.

    Redrawn is what can draw itself anew, as every layer of torch does (``reset_parameters``), and is trained. A model with
    ``pretrained`` (see `farfield.nn.Classifier`) keeps its encoder, as the paper's pretrained networks would.

    >>> model = Classifier(nn.Linear(2, 2), nn.Linear(2, 2), pretrained=True)
    >>> fresh = another(model, seed=1)
    >>> torch.equal(fresh.encoder.weight, model.encoder.weight), torch.equal(fresh.head.weight, model.head.weight)
    (True, False)
    """
    fresh = copy.deepcopy(model)
    part = fresh.head if fresh.pretrained else fresh
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in part.modules():
            own = list(module.parameters(recurse=False))
            # nn.MultiheadAttention has it with an underscore.
            reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
            if reset is not None and own and all(p.requires_grad for p in own):
                reset()
    return fresh


def joined_batches(task: Task, batch_size: int, members: int, *, seed: int) -> Iterator[Tensor]:
    """Yield the batches of several networks one after the other in one, each from a stream of its own; the first is the usual one.

    >>> from farfield import tasks
    >>> next(joined_batches(tasks.load("digits"), 8, 3, seed=0)).shape
    torch.Size([24])
    """
    streams = [training_batches(task, batch_size, seed=seed + i * 7919) for i in range(members)]
    while True:
        yield torch.cat([next(stream) for stream in streams])
