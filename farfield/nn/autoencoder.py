"""Autoencoders: an encoder to a small code, and a decoder that may read something else than the code."""

import math
from typing import Literal

from torch import Tensor, nn

from farfield.errors import InputError, unknown_name
from farfield.tasks.task import Image, Vector

KINDS = ("mlp", "conv")


class Autoencoder(nn.Module):
    """Encoder and decoder: ``forward(x) = decoder(encoder(x))``, of the shape of x.

    **Arguments:** ``encoder``: inputs -> codes ``(n, width)``; ``decoder``: codes -> inputs.

    >>> import torch
    >>> Autoencoder(nn.Linear(4, 2), nn.Linear(2, 4))(torch.zeros(3, 4)).shape
    torch.Size([3, 4])
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def make_autoencoder(
    inputs: Image | Vector,
    kind: Literal["mlp", "conv"] = "mlp",
    *,
    hidden: int = 128,
    latent: int = 64,
    channels: tuple[int, ...] = (32, 64, 128, 256),
    reads: int | None = None,
) -> Autoencoder:
    """Return a new autoencoder with GELU and no activation on the code.

    - "mlp": one hidden layer of ``hidden`` units on each side, a code of ``latent``; its output is not bounded.
    - "conv", for images: convolutions of stride 2 with batch normalisation, one for each of ``channels``; the code is the last
      one flattened. The decoder is a linear layer from what it reads to that shape, transposed convolutions back to each
      size, a convolution and a sigmoid.

    **Arguments:** ``reads``: width that the decoder reads where it is not the code's, such as the number of anchors of a
    `RelativeEncoder` that takes the encoder's place.

    Raises InputError on an unknown kind, sizes below 1, or "conv" on vectors.

    Source of "conv": Moschella et al., ICLR 2023, the released code's ``build_dynamic_encoder_decoder``.

    >>> import torch
    >>> model = make_autoencoder(Image(1, 28, 28), "conv")
    >>> model.encoder(torch.zeros(2, 1, 28, 28)).shape, model(torch.zeros(2, 1, 28, 28)).shape
    (torch.Size([2, 1024]), torch.Size([2, 1, 28, 28]))
    """
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    sizes = (hidden, latent, *channels, 1 if reads is None else reads)
    if min(sizes) < 1 or not channels:
        raise InputError(
            f"hidden is {hidden}, latent {latent}, channels {channels}, reads {reads}; expected at least 1"
        )
    if kind == "mlp":
        return _mlp(inputs, hidden, latent, reads)
    if not isinstance(inputs, Image):
        raise InputError(f"kind 'conv' takes images; {inputs} came")
    return _conv(inputs, channels, reads)


def _mlp(inputs: Image | Vector, hidden: int, latent: int, reads: int | None) -> Autoencoder:
    shape = (inputs.channels, inputs.height, inputs.width) if isinstance(inputs, Image) else (inputs.size,)
    size = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, latent))
    decoder = nn.Sequential(
        nn.Linear(reads or latent, hidden), nn.GELU(), nn.Linear(hidden, size), nn.Unflatten(1, shape)
    )
    return Autoencoder(encoder, decoder)


def _conv(inputs: Image, channels: tuple[int, ...], reads: int | None) -> Autoencoder:
    # Height and width before each convolution, and after the last: a half, rounded up.
    sizes = [(inputs.height, inputs.width)]
    down: list[nn.Module] = []
    for before, after in zip((inputs.channels, *channels), channels):
        down += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.GELU()]
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
    code = (channels[-1], *sizes[-1])
    back = (*channels[::-1], channels[0])
    up: list[nn.Module] = [nn.Linear(reads or math.prod(code), math.prod(code)), nn.GELU(), nn.Unflatten(1, code)]
    for i, (small, large) in enumerate(zip(sizes[:0:-1], sizes[-2::-1])):
        # The kernel that brings each side exactly to its size: large = 2 (small - 1) - 2 + kernel.
        kernel = tuple(b - 2 * (a - 1) + 2 for a, b in zip(small, large))
        up += [nn.ConvTranspose2d(back[i], back[i + 1], kernel, stride=2, padding=1)]
        up += [nn.BatchNorm2d(back[i + 1]), nn.GELU()]
    up += [nn.Conv2d(back[-1], inputs.channels, 3, padding=1), nn.Sigmoid()]
    return Autoencoder(nn.Sequential(*down[:-1], nn.Flatten()), nn.Sequential(*up))
