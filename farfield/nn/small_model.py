"""A small network for any task, to be trained from scratch beside a large one."""

import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.nn import cnn, mlp
from farfield.nn.classifier import Classifier
from farfield.tasks.task import Image, Task, Tokens, Vector

# Below it a network of convolutions has no room to halve the image.
SMALLEST_IMAGE = 4


def small_model(task: Task, *, width: int = 32, seed: int = 0) -> Classifier:
    """Return a small classifier with features of ``width`` units, whatever a task's inputs are.

    Vectors: a perceptron with two hidden layers. Images: a convolutional network (`CNN`) of a
    quarter of these channels in its first block, rounded down to a multiple of 4, at least 4, so
    features are about twice as wide; below 4x4 pixels, a perceptron. Tokens: `TokenBag`.

    **Arguments:** ``width``: at least 1; ``seed``: of the weights. The caller's random state is
    left as it was.

    Raises InputError on a width below 1, and on raw text, which must be prepared first.

    >>> from farfield import tasks
    >>> model = small_model(tasks.load("digits/rotation"))
    >>> model(torch.zeros(2, 1, 8, 8)).shape, sum(p.numel() for p in model.parameters()) < 20_000
    (torch.Size([2, 10]), True)
    """
    if width < 1:
        raise InputError(f"width is {width}; it must be at least 1")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if isinstance(task.inputs, Image) and min(task.inputs.height, task.inputs.width) >= SMALLEST_IMAGE:
            return cnn.cnn(task, width=max(4, width // 4 // 4 * 4))
        if isinstance(task.inputs, Image | Vector):
            return mlp.mlp(task, hidden=width, depth=2)
        if isinstance(task.inputs, Tokens):
            encoder = TokenBag(task.inputs.vocabulary, width, padding=task.inputs.padding)
            return Classifier(encoder, nn.Linear(width, task.outputs.count))
    raise InputError(f"the task {task.name} has {task.inputs}: prepare it with farfield.nn.prepare first")


class TokenBag(nn.Module):
    """The mean embedding of a text's tokens, and two hidden layers on it.

    **Arguments:** ``vocabulary``: number of token ids; ``width``: of embedding and layers;
    ``padding``: the id that does not count. A text of nothing but padding has the embedding 0.

    >>> TokenBag(9, 4)(torch.tensor([[5, 3, 0], [7, 0, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(self, vocabulary: int, width: int, *, padding: int = 0):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocabulary, width, mode="mean", padding_idx=padding)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.embedding(x))
