"""All-CNN-C: a network of convolutions only, in which strides take the place of pooling."""

from jaxtyping import Float
from torch import Tensor, nn

from farfield.nn.classifier import Classifier
from farfield.nn.options import Option
from farfield.nn.standardize import Standardize
from farfield.tasks.task import Task

OPTIONS = {"width": Option(int, 96, low=4, high=1024)}
# Channels as multiples of the width, kernel, stride.
PLAN = ((1, 3, 1), (1, 3, 1), (1, 3, 2), (2, 3, 1), (2, 3, 1), (2, 3, 2), (2, 3, 1), (2, 1, 1))


def all_cnn_c(task: Task, *, width: int = 96) -> Classifier:
    """Return an `AllCNN` on standardised images, with a linear head.

    >>> from farfield import tasks
    >>> all_cnn_c(tasks.load("digits/rotation"), width=8).head
    Linear(in_features=16, out_features=10, bias=True)
    """
    encoder = AllCNN(task.inputs.channels, width=width)
    head = nn.Linear(encoder.width, task.outputs.count)
    return Classifier(nn.Sequential(Standardize.fit(task.train), encoder), head)


class AllCNN(nn.Module):
    """Eight convolutions, each followed by a ReLU, and the mean over all positions: All-CNN-C up to its last layer.

    Three of 3x3 and ``width`` channels, the third with stride 2; three of twice the channels, again with stride 2 in the
    last; one more of 3x3 and one of 1x1. A share of 0.2 of the inputs is dropped in training, and of 0.5 after each stride.

    The published network ends in a 1x1 convolution to the classes, a ReLU and the mean; here the mean comes before a linear
    head, which is the same without that ReLU. Weights start from He's normal distribution: there is no normalisation.

    ``layers`` holds a pair (convolution, ReLU) for each; ``"**.layers.*.1"`` names their outputs in `farfield.measure.activations`.

    **Arguments:** ``channels`` of the images; ``width``: channels of the first three convolutions.

    Source: Springenberg et al., "Striving for simplicity", ICLR 2015 workshop, table 1 and section 3.2.

    >>> import torch
    >>> AllCNN(3, width=8)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 16])
    """

    def __init__(self, channels: int, *, width: int = 96):
        super().__init__()
        blocks: list[nn.Module] = []
        for multiple, kernel, stride in PLAN:
            convolution = nn.Conv2d(channels, multiple * width, kernel, stride=stride, padding=kernel // 2)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)
            blocks.append(nn.Sequential(convolution, nn.ReLU(), *([nn.Dropout(0.5)] if stride == 2 else [])))
            channels = multiple * width
        self.width = channels
        self.dropout = nn.Dropout(0.2)
        self.layers = nn.Sequential(*blocks)

    def forward(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n features"]:
        return self.layers(self.dropout(x)).mean((2, 3))
