"""A small convolutional network for small images, quick enough for one CPU core."""

import math

from jaxtyping import Float
from torch import Tensor, nn

from farfield.nn.classifier import Classifier
from farfield.nn.options import Option
from farfield.nn.standardize import Standardize
from farfield.tasks.task import Task

OPTIONS = {"width": Option(int, 16, low=4, high=1024)}


def cnn(task: Task, *, width: int = 16) -> Classifier:
    """Return a `CNN` on standardised images, with a linear head.

    **Arguments:** ``width``: channels of the first block, see `CNN`.

    >>> from farfield import tasks
    >>> cnn(tasks.load("digits/rotation")).head
    Linear(in_features=128, out_features=10, bias=True)
    """
    image = task.inputs
    encoder = CNN(image.channels, image.height, image.width, width=width)
    return Classifier(nn.Sequential(Standardize.fit(task.train), encoder), nn.Linear(encoder.width, task.outputs.count))


class CNN(nn.Module):
    """Blocks of 3x3 convolution, GroupNorm and ReLU; then one hidden linear layer over what is left of the image.

    Each block halves the image until neither side exceeds 4; in images of up to 16 pixels a first block that keeps the
    size comes before them (8x8: two blocks, 28x28 and 32x32: three, 64x64: four). Convolutions halve by their stride,
    which costs a quarter of pooling afterwards.

    There is no BatchNorm: its running statistics would tie the examples of a batch together, and would have to be
    measured again whenever weights are averaged.

    **Arguments:** ``width``: channels of the first block; the second has 2 x width, the others 4 x width, and the
    features 8 x width.

    >>> import torch
    >>> CNN(1, 8, 8)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 128])
    """

    def __init__(self, channels: int, height: int, width_pixels: int, *, width: int = 16):
        super().__init__()
        longest = max(height, width_pixels)
        halvings = max(1, math.ceil(math.log2(longest / 4)))
        strides = [1] * (longest <= 16) + [2] * halvings
        layers: list[nn.Module] = []
        for block, stride in enumerate(strides):
            out = width * min(2**block, 4)
            layers += [nn.Conv2d(channels, out, 3, stride=stride, padding=1), _norm(out), nn.ReLU()]
            channels = out
        # A stride of 2 with padding 1 leaves ceil(side / 2) pixels, so ceil(side / 2^halvings) after all of them.
        left = -(-height // 2**halvings) * -(-width_pixels // 2**halvings)
        self.width = 8 * width
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * left, self.width), nn.ReLU())

    def forward(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n features"]:
        return self.layers(x)


def _norm(channels: int) -> nn.GroupNorm:
    # Groups of about 8 channels; one group where 8 does not divide them.
    return nn.GroupNorm(channels // 8 if channels % 8 == 0 else 1, channels)
