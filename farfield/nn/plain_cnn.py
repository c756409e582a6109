"""Convolutional networks without normalisation, whose layers have names: what unit-by-unit comparisons look into."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from farfield.errors import InputError
from farfield.tasks.task import Image, Task


def plain_cnn(task: Task, *, channels: Sequence[int] = (16, 32, 32), hidden: int = 64) -> nn.Sequential:
    """Return a network of 3x3 convolutions with ReLU: layers ``conv1``, ``conv2``, ..., ``fc``, ``logits``.

    The image is halved by max pooling after each convolution but the last. A layer's output is after its ReLU;
    ``conv1.0`` is what goes into it.

    **Arguments:** ``channels`` of each convolution; ``hidden``: units of ``fc``.

    Raises InputError where the task is not of images, or they are too small to be halved so often.

    >>> from farfield import tasks
    >>> [name for name, _ in plain_cnn(tasks.load("digits")).named_children()]
    ['conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'flatten', 'fc', 'logits']
    """
    image = _image(task, smallest=2 ** (len(channels) - 1))
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = image.channels
    for i, width in enumerate(channels, start=1):
        layers[f"conv{i}"] = nn.Sequential(nn.Conv2d(before, width, 3, padding=1), nn.ReLU())
        if i < len(channels):
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        before = width
    return _with_head(layers, image, (hidden,), task.outputs.count, dropout=0.0)


def alexnet(task: Task) -> nn.Sequential:
    """Return AlexNet with every convolution in one group: layers ``conv1`` to ``conv5``, ``fc6``, ``fc7``, ``logits``.

    96, 256, 384, 384 and 256 channels, local response normalisation after the first two poolings, dropout at 0.5.

    Raises InputError where the task is not of images of at least 67 x 67.

    Source: Krizhevsky et al., NeurIPS 2012, section 3, in Caffe's order of pooling before normalisation, which Li et al. (ICLR 2016) train.

    >>> from farfield.tasks import Classes, Image, Table, Task
    >>> rows = Table(x=torch.zeros(1, 3, 67, 67), y=torch.tensor([0]), domain=torch.tensor([0]))
    >>> model = alexnet(Task("mine", rows, rows, {"iid": rows}, Image(3, 67, 67), Classes(10), ("a",)))
    >>> model(torch.zeros(2, 3, 67, 67)).shape
    torch.Size([2, 10])
    """
    image = _image(task, smallest=67)

    def convolution(before: int, after: int, size: int, **options: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(before, after, size, **options), nn.ReLU())

    layers = OrderedDict(
        conv1=convolution(image.channels, 96, 11, stride=4),
        pool1=nn.MaxPool2d(3, 2),
        norm1=nn.LocalResponseNorm(5),
        conv2=convolution(96, 256, 5, padding=2),
        pool2=nn.MaxPool2d(3, 2),
        norm2=nn.LocalResponseNorm(5),
        conv3=convolution(256, 384, 3, padding=1),
        conv4=convolution(384, 384, 3, padding=1),
        conv5=convolution(384, 256, 3, padding=1),
        pool5=nn.MaxPool2d(3, 2),
    )
    return _with_head(layers, image, (4096, 4096), task.outputs.count, dropout=0.5)


def _image(task: Task, *, smallest: int) -> Image:
    image = task.inputs
    if not isinstance(image, Image) or min(image.height, image.width) < smallest:
        raise InputError(f"the task {task.name} has {image}; expected images of at least {smallest}x{smallest}")
    return image


def _with_head(
    layers: OrderedDict[str, nn.Module], image: Image, hidden: Sequence[int], classes: int, *, dropout: float
) -> nn.Sequential:
    with torch.no_grad():
        maps = nn.Sequential(layers)(torch.zeros(1, image.channels, image.height, image.width))
    width = maps.numel()
    layers["flatten"] = nn.Flatten()
    convolutions = sum(name.startswith("conv") for name in layers)
    for i, units in enumerate(hidden, start=1):
        number = f"{convolutions + i}" if len(hidden) > 1 else ""
        if dropout:
            layers[f"dropout{number}"] = nn.Dropout(dropout)
        layers[f"fc{number}"] = nn.Sequential(nn.Linear(width, units), nn.ReLU())
        width = units
    layers["logits"] = nn.Linear(width, classes)
    return nn.Sequential(layers)
