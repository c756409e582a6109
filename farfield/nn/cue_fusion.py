"""Cues that hold everywhere, such as sentiment and aggression, merged with the embedding of a text."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError


class CueFusion(nn.Module):
    """Merge several vectors of a row into one: dropout, linear, tanh, dropout, linear on all of them side by side.

    PEACE's "switch": the first-token states of an encoder for the task and of encoders for two causal cues become one state for
    the head. With the cues' attention in place of their states it makes a weight per token, see `weigh`.

    **Arguments:** ``dims``: widths of the vectors, in order; ``hidden``: width between the layers; ``out``: width of the result, by
    default that of the first vector; ``dropout``: from 0 to below 1.

    Raises InputError on a width below 1 or a dropout out of range.

    Source: Sheth et al., "PEACE", ECML-PKDD 2023, and its released code (three states of 768, hidden and out 768).

    >>> fuse = CueFusion([8, 3, 3], hidden=16)
    >>> fuse(torch.zeros(2, 8), torch.zeros(2, 3), torch.zeros(2, 3)).shape
    torch.Size([2, 8])
    """

    def __init__(self, dims: Sequence[int], hidden: int, *, out: int | None = None, dropout: float = 0.2):
        super().__init__()
        out = out if out is not None else (dims[0] if len(dims) else 0)
        if not len(dims) or min(*dims, hidden, out) < 1 or not 0 <= dropout < 1:
            raise InputError(
                f"dims is {list(dims)}, hidden {hidden}, out {out}, dropout {dropout}; expected widths of at least 1 and a "
                "dropout from 0 to below 1"
            )
        self.dims, self.out = tuple(dims), out
        self.switch = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(sum(dims), hidden), nn.Tanh(), nn.Dropout(dropout), nn.Linear(hidden, out)
        )

    def forward(self, *states: Float[Tensor, "n _"]) -> Float[Tensor, "n out"]:
        """Return the merged vectors. Raises InputError on other widths or numbers of them."""
        shapes = [tuple(s.shape) for s in states]
        if [s[1:] for s in shapes] != [(d,) for d in self.dims]:
            raise InputError(f"states have shapes {shapes}; expected (n, width) of the widths {list(self.dims)}")
        return self.switch(torch.cat(states, 1))

    def weigh(self, tokens: Float[Tensor, "n t d"], *cues: Float[Tensor, "n t"]) -> Float[Tensor, "n t d"]:
        """Return token states, each times a weight made of the cues' attention to the tokens (`last_query_attention`).

        ``dims`` must be t for each cue, and ``out`` t.
        """
        if tokens.ndim != 3 or tokens.shape[1] != self.out:
            raise InputError(f"tokens has shape {tuple(tokens.shape)}; expected (n, {self.out}, d)")
        return tokens * self(*cues)[:, :, None]


def last_query_attention(attention: Float[Tensor, "n heads t t"]) -> Float[Tensor, "n t"]:
    """Return how much the last position attends to each, summed over heads: the cue of PEACE's attention variant.

    **Arguments:** ``attention``: of one layer (its last), as transformers returns it: (n, heads, queries, keys).

    Raises InputError on another number of dimensions.

    >>> last_query_attention(torch.eye(3).expand(1, 2, 3, 3))
    tensor([[0., 0., 2.]])
    """
    if attention.ndim != 4:
        raise InputError(f"attention has shape {tuple(attention.shape)}; expected (n, heads, t, t)")
    return attention[:, :, -1, :].sum(1)
