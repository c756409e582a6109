import pytest
import torch

from farfield import nn
from farfield.nn.cnn import CNN


def test_parameter_count_at_8x8():
    # Two blocks (1 -> 4 -> 8 channels), each with its GroupNorm; then 8 channels of 4x4 to 32 features.
    blocks = (9 * 1 + 1) * 4 + 2 * 4 + (9 * 4 + 1) * 8 + 2 * 8
    assert sum(p.numel() for p in CNN(1, 8, 8, width=4).parameters()) == blocks + (8 * 4 * 4 + 1) * 32


@pytest.mark.parametrize(
    ("size", "blocks", "left"), [(4, 2, 2), (8, 2, 4), (16, 3, 4), (17, 3, 3), (28, 3, 4), (32, 3, 4), (64, 4, 4)]
)
def test_blocks_halve_until_4(size, blocks, left):
    layers = CNN(1, size, size, width=4).layers
    convolutions = [m for m in layers if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == blocks
    flat = next(m for m in layers if isinstance(m, torch.nn.Linear)).in_features
    assert flat == convolutions[-1].out_channels * left**2


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 4, 4), (1, 8, 8), (3, 5, 33), (3, 32, 32), (3, 64, 64)])
def test_shapes(image_task, channels, height, width):
    task = image_task(channels, height, width, n=4)
    model = nn.load("cnn?width=4", task)
    x = task.train[[0, 1]]["x"]
    assert model(x).shape == (2, 3)
    assert model.features(x).shape == (2, 32)


def test_no_example_sees_another(image_task):
    model = nn.load("cnn", image_task()).train()
    x = torch.rand(6, 1, 8, 8)
    torch.testing.assert_close(model(x)[:2], model(x[:2]))


@pytest.mark.parametrize("width", [4, 6, 8, 20])
def test_every_width_has_a_group_norm_that_divides_it(width):
    assert CNN(1, 8, 8, width=width)(torch.rand(2, 1, 8, 8)).shape == (2, 8 * width)
