"""Architectures of timm without their trained weights, for images of any shape, by ``module:function``."""

from functools import partial

from torch import nn

from farfield.errors import InputError, MissingExtra
from farfield.tasks.task import Image, Task


def untrained(architecture: str, task: Task) -> nn.Module:
    """Return an architecture of timm with random weights that takes the task's images as they are, in any shape.

    ``timm:NAME`` is for pretrained weights: it brings the images to the square that those were trained on.

    Raises InputError on a task without images, MissingExtra where timm is absent.

    >>> import torch
    >>> from farfield.tasks import Classes, Table, Vector
    >>> rows = Table(x=torch.zeros(2, 3), y=torch.tensor([0, 1]))
    >>> untrained("resnet50", Task("mine", rows, rows, {"iid": rows}, Vector(3), Classes(2), ("here",)))
    Traceback (most recent call last):
    farfield.errors.InputError: resnet50 takes images; the task mine has vectors of 3 features
    """
    if not isinstance(task.inputs, Image):
        raise InputError(f"{architecture} takes images; the task {task.name} has {task.inputs}")
    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", extra="vision", needed_by=f"the architecture {architecture}") from None
    channels, classes = task.inputs.channels, task.outputs.count
    return timm.create_model(architecture, pretrained=False, in_chans=channels, num_classes=classes)


resnet50, densenet121, mobilenetv2 = (
    partial(untrained, name) for name in ("resnet50", "densenet121", "mobilenetv2_100")
)
