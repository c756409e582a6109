import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.nn import Autoencoder, RelativeEncoder, make_autoencoder
from farfield.tasks.task import Image, Vector


@pytest.mark.parametrize("inputs", [Image(1, 28, 28), Image(3, 32, 32), Image(1, 8, 8), Image(2, 19, 30)])
def test_convolutions_come_back_to_every_size(inputs):
    x = torch.rand(2, inputs.channels, inputs.height, inputs.width, generator=torch.Generator().manual_seed(0))
    model = make_autoencoder(inputs, "conv", channels=(4, 8, 8))
    out = model(x)
    assert out.shape == x.shape and out.min() >= 0 and out.max() <= 1
    # The code is the last convolution, flattened, and has no activation: both signs.
    assert model.encoder(x).min() < 0 < model.encoder(x).max()


def test_the_mlp_is_that_of_the_study():
    model = make_autoencoder(Image(1, 8, 8))
    widths = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Linear)]
    assert widths == [(128, 64), (64, 128), (128, 64), (64, 128)]
    assert model(torch.zeros(3, 1, 8, 8)).shape == (3, 1, 8, 8)
    assert make_autoencoder(Vector(5), latent=2)(torch.zeros(3, 5)).shape == (3, 5)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_the_decoder_reads_what_it_is_told(kind):
    anchors = torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model = make_autoencoder(Image(1, 8, 8), kind, reads=7)
    model.encoder = RelativeEncoder(model.encoder, anchors)
    assert model(torch.zeros(3, 1, 8, 8)).shape == (3, 1, 8, 8)


def test_forward_is_decoder_after_encoder():
    model = Autoencoder(nn.Linear(4, 2), nn.Linear(2, 4))
    x = torch.ones(1, 4)
    assert model(x).equal(model.decoder(model.encoder(x)))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: make_autoencoder(Image(1, 8, 8), "cnn"), "unknown kind 'cnn'; nearest: conv"),
        (lambda: make_autoencoder(Vector(5), "conv"), "kind 'conv' takes images; vectors of 5 features came"),
        (lambda: make_autoencoder(Vector(5), latent=0), "latent 0"),
        (lambda: make_autoencoder(Image(1, 8, 8), "conv", channels=()), r"channels \(\)"),
    ],
)
def test_bad_arguments_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
