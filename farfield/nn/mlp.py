"""Linear model and multilayer perceptron, on vectors or on flattened images."""

from torch import nn

from farfield.nn.classifier import Classifier
from farfield.nn.options import Option
from farfield.nn.standardize import Standardize
from farfield.tasks.task import Image, Task

MLP_OPTIONS = {
    "hidden": Option(int, 256, low=1, high=65536),
    "depth": Option(int, 2, low=1, high=64),
    "dropout": Option(float, 0.0, low=0, high=0.95),
}


def linear(task: Task) -> Classifier:
    """Return multinomial logistic regression: its features are the inputs, its head is one linear layer.

    Images are standardised and flattened; vectors are taken as they are.

    >>> from farfield import tasks
    >>> linear(tasks.load("digits/rotation")).head
    Linear(in_features=64, out_features=10, bias=True)
    """
    # A convex problem bears ten times the step of a deep one, and at a deep one's is not done within some hundred steps.
    return Classifier(nn.Sequential(*_entrance(task)), nn.Linear(_width(task), task.outputs.count), learning_rate=1e-2)


def mlp(task: Task, *, hidden: int = 256, depth: int = 2, dropout: float = 0.0) -> Classifier:
    """Return a multilayer perceptron with ReLU.

    **Arguments:** ``depth`` hidden layers of ``hidden`` units, each followed by dropout with this probability.

    >>> from farfield import tasks
    >>> model = mlp(tasks.load("digits/rotation"), hidden=32)
    >>> model.head
    Linear(in_features=32, out_features=10, bias=True)
    """
    layers, width = _entrance(task), _width(task)
    for _ in range(depth):
        layers += [nn.Linear(width, hidden), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = hidden
    return Classifier(nn.Sequential(*layers), nn.Linear(width, task.outputs.count))


def _entrance(task: Task) -> list[nn.Module]:
    return [Standardize.fit(task.train), nn.Flatten()] if isinstance(task.inputs, Image) else []


def _width(task: Task) -> int:
    inputs = task.inputs
    return inputs.channels * inputs.height * inputs.width if isinstance(inputs, Image) else inputs.size
