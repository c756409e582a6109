import pytest
import torch

from farfield import nn, tasks
from farfield.errors import InputError
from farfield.nn import AllCNN


def test_the_layers_are_those_of_table_1():
    shapes = []
    encoder = AllCNN(3)
    for block in encoder.layers:
        block[1].register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    assert encoder(torch.zeros(1, 3, 32, 32)).shape == (1, 192)
    # Padding keeps the size; a stride of 2 halves it.
    small, large = [(96, 32, 32)] * 2 + [(96, 16, 16)], [(192, 16, 16)] * 2 + [(192, 8, 8)]
    assert shapes == [*small, *large, (192, 8, 8), (192, 8, 8)]
    # Without the last layer: 1,369,738 - (192 * 10 + 10).
    assert sum(p.numel() for p in encoder.parameters()) == 1_367_808


def test_the_mean_of_the_head_is_the_head_of_the_mean():
    task = tasks.load("digits/rotation")
    model = nn.load("all-cnn-c?width=8", task, seed=3).eval()
    x = task.train[torch.arange(4)]["x"]
    maps = model.encoder[1].layers(model.encoder[0](x))
    last = torch.nn.functional.conv2d(maps, model.head.weight[:, :, None, None], model.head.bias)
    torch.testing.assert_close(model(x), last.mean((2, 3)))


def test_it_drops_inputs_and_what_comes_after_a_stride_in_training_only():
    encoder = AllCNN(1, width=8)
    kept = [sum(isinstance(layer, torch.nn.Dropout) for layer in block) for block in encoder.layers]
    assert kept == [0, 0, 1, 0, 0, 1, 0, 0]
    x = torch.ones(2, 1, 8, 8)
    assert not torch.equal(encoder(x), encoder(x))
    encoder.eval()
    assert torch.equal(encoder(x), encoder(x))


def test_activity_neither_dies_nor_explodes_at_the_start():
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = AllCNN(3, width=32).eval()
    features = encoder(torch.randn(16, 3, 32, 32, generator=generator)).detach()
    assert 0.1 < float(features.square().mean().sqrt()) < 3


@pytest.mark.parametrize("name", ["all-cnn-c?width=2", "all-cnn-c?depth=3"])
def test_options_out_of_range_are_refused(name):
    with pytest.raises(InputError):
        nn.load(name, tasks.load("digits/rotation"))
