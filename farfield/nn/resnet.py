"""A small residual network for small images (He et al., CVPR 2016, section 4.2)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from farfield.nn.classifier import Classifier
from farfield.nn.options import Option
from farfield.nn.standardize import Standardize
from farfield.tasks.task import Task

OPTIONS = {"width": Option(int, 16, low=4, high=1024), "depth": Option(int, 1, low=1, high=64)}


def resnet(task: Task, *, width: int = 16, depth: int = 1) -> Classifier:
    """Return a `ResNet` on standardised images, with a linear head.

    **Arguments:** ``width``, ``depth``: see `ResNet`; depth 3 is the paper's ResNet-20.

    >>> from farfield import tasks
    >>> resnet(tasks.load("digits/rotation")).head
    Linear(in_features=64, out_features=10, bias=True)
    """
    encoder = ResNet(task.inputs.channels, width=width, depth=depth)
    return Classifier(nn.Sequential(Standardize.fit(task.train), encoder), nn.Linear(encoder.width, task.outputs.count))


class ResNet(nn.Module):
    """Three stages of residual blocks with BatchNorm, then the mean over all positions.

    **Arguments:** stages have ``depth`` blocks of ``width``, 2 x width and 4 x width channels; the second and third
    halve the image. With the stem and the head there are 6 x depth + 2 layers.

    Source: He et al., "Deep residual learning for image recognition", section 4.2. Differs from it in: a change of
    width is bridged by a 1x1 convolution (their option B) instead of padding with zeros.

    >>> import torch
    >>> ResNet(3)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 64])
    """

    def __init__(self, channels: int, *, width: int = 16, depth: int = 1):
        super().__init__()
        self.stem = nn.Sequential(_convolution(channels, width, 1), nn.ReLU())
        blocks: list[nn.Module] = []
        before = width
        for stage in range(3):
            after = width * 2**stage
            for block in range(depth):
                blocks.append(Block(before, after, stride=2 if stage and not block else 1))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.width = before

    def forward(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n features"]:
        return self.blocks(self.stem(x)).mean((2, 3))


class Block(nn.Module):
    """Two 3x3 convolutions around which the input is added: relu(x + f(x)).

    >>> import torch
    >>> Block(8, 16, stride=2)(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 16, 2, 2])
    """

    def __init__(self, before: int, after: int, *, stride: int = 1):
        super().__init__()
        self.residual = nn.Sequential(_convolution(before, after, stride), nn.ReLU(), _convolution(after, after, 1))
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(before, after, stride, size=1)

    def forward(self, x: Float[Tensor, "n before h w"]) -> Float[Tensor, "n after _ _"]:
        return F.relu(self.shortcut(x) + self.residual(x))


def _convolution(before: int, after: int, stride: int, *, size: int = 3) -> nn.Sequential:
    # BatchNorm has its own offset, so the convolution needs no bias.
    convolution = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after))
