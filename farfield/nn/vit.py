"""A small vision transformer for small images (Dosovitskiy et al., ICLR 2021)."""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from farfield.errors import InputError
from farfield.nn.classifier import Classifier
from farfield.nn.options import Option
from farfield.nn.standardize import Standardize
from farfield.nn.transformer_block import TransformerBlock
from farfield.tasks.task import Task

OPTIONS = {
    "patch": Option(int, None, low=1, high=256),
    "dim": Option(int, 64, low=4, high=4096),
    "depth": Option(int, 3, low=1, high=64),
    "heads": Option(int, 4, low=1, high=64),
}


def vit(task: Task, *, patch: int | None = None, dim: int = 64, depth: int = 3, heads: int = 4) -> Classifier:
    """Return a `ViT` on standardised images, with a linear head.

    **Arguments:** ``patch`` None makes at most 8 patches along the longer side, each of at least 2x2 pixels.

    Raises InputError where ``heads`` does not divide ``dim`` or a patch is larger than the image.

    >>> from farfield import tasks
    >>> vit(tasks.load("digits/rotation")).head
    Linear(in_features=64, out_features=10, bias=True)
    """
    image = task.inputs
    patch = patch or max(2, math.ceil(max(image.height, image.width) / 8))
    if dim % heads:
        raise InputError(f"heads={heads} of the model vit must divide dim={dim}")
    if patch > max(image.height, image.width):
        raise InputError(f"patch={patch} of the model vit is larger than the {image} of the task {task.name}")
    encoder = ViT(image.channels, image.height, image.width, patch=patch, dim=dim, depth=depth, heads=heads)
    return Classifier(nn.Sequential(Standardize.fit(task.train), encoder), nn.Linear(dim, task.outputs.count))


class ViT(nn.Module):
    """Patches, a learned position each, pre-norm transformer blocks, then the mean over patches.

    An image whose sides are no multiple of the patch is padded on the right and below with zeros, which is the mean
    after standardisation.

    **Arguments:** ``patch`` pixels along a patch's side; ``dim`` features per patch; ``depth`` blocks of ``heads``
    attention heads, with 4 x dim hidden units.

    Source: Dosovitskiy et al., "An image is worth 16x16 words", section 3.1. Differs from it in: no class token, the
    mean over patches is read (as in Beyer et al., "Better plain ViT baselines for ImageNet-1k", 2022).

    >>> ViT(3, 32, 32, patch=4, dim=16, depth=1, heads=2)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 16])
    """

    def __init__(self, channels: int, height: int, width_pixels: int, *, patch: int, dim: int, depth: int, heads: int):
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch * patch, dim)
        count = -(-height // patch) * -(-width_pixels // patch)
        self.position = nn.Parameter(0.02 * torch.randn(count, dim))
        self.blocks = nn.Sequential(*(TransformerBlock(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n dim"]:
        p = self.patch
        x = F.pad(x, (0, -x.shape[3] % p, 0, -x.shape[2] % p))
        patches = rearrange(x, "n c (rows p) (columns q) -> n (rows columns) (c p q)", p=p, q=p)
        tokens = self.embed(patches) + self.position  # (n, t, dim)
        return self.norm(self.blocks(tokens)).mean(1)  # (n, dim)
