"""The block that transformers are stacks of, for images as for text."""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class TransformerBlock(nn.Module):
    """Self-attention, then a perceptron of 4 x dim units, each on layer-normalised tokens and added to them.

    **Arguments:** ``dim``: features of a token, a multiple of ``heads``; ``causal``: each token attends to earlier ones and itself
    only.

    >>> import torch
    >>> TransformerBlock(8, 2)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, dim: int, heads: int, *, causal: bool = False):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.perceptron = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Float[Tensor, "n t dim"]) -> Float[Tensor, "n t dim"]:
        mixed = self.queries_keys_values(self.norm_attention(x))  # (n, t, 3 dim)
        q, k, v = rearrange(mixed, "n t (three h d) -> three n h t d", three=3, h=self.heads)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)  # (n, h, t, d)
        x = x + self.project(rearrange(attended, "n h t d -> n t (h d)"))
        return x + self.perceptron(self.norm_perceptron(x))
