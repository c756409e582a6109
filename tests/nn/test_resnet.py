import pytest
import torch

from farfield import nn
from farfield.nn.resnet import Block, ResNet


def test_resnet_20_has_the_papers_size():
    # Table 6 of He et al. gives 0.27 million for ResNet-20, without the two 1x1 shortcuts (16*32 + 32*64, and BatchNorm).
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    head = 65 * 10
    paper = sum(p.numel() for p in ResNet(3, depth=3).parameters()) - shortcuts + head
    assert round(paper / 1e6, 2) == 0.27
    assert paper == 269_722


@pytest.mark.parametrize("depth", [1, 2])
def test_depth_counts_layers_as_the_paper_does(depth):
    convolutions = [
        m for m in ResNet(3, depth=depth).modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)
    ]
    assert len(convolutions) + 1 == 6 * depth + 2


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 4, 4), (1, 8, 8), (3, 5, 33), (3, 64, 64)])
def test_shapes(image_task, channels, height, width):
    task = image_task(channels, height, width, n=4)
    assert nn.load("resnet?width=4", task)(task.train[[0, 1]]["x"]).shape == (2, 3)


def test_a_block_with_no_residual_is_the_relu_of_its_input():
    block = Block(4, 4).eval()
    torch.nn.init.zeros_(block.residual[-1][1].weight)
    x = torch.randn(2, 4, 5, 5)
    assert block(x).equal(x.relu())


def test_features_are_the_mean_over_positions_so_a_mirror_image_of_mirrored_kernels_is_the_same():
    model = ResNet(1, width=4).eval()
    x = torch.rand(2, 1, 9, 9)  # odd sides: stride 2 then samples the same positions from either end
    before = model(x)
    for convolution in (m for m in model.modules() if isinstance(m, torch.nn.Conv2d)):
        convolution.weight.data = convolution.weight.data.flip(3)
    torch.testing.assert_close(model(x.flip(3)), before)
