"""How well an input is rebuilt from a code: an embedding, a bag of words, or a text token by token."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError


class EmbeddingReconstruction(nn.Module):
    """Mean squared error between a code and an embedding of the same width, over rows and columns.

    >>> EmbeddingReconstruction()(torch.zeros(1, 2), torch.tensor([[1.0, 3.0]]))
    tensor(5.)
    """

    def forward(self, code: Float[Tensor, "n d"], reference: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """Return the error. Raises InputError where the shapes differ."""
        if code.shape != reference.shape:
            raise InputError(f"code has shape {tuple(code.shape)} but reference {tuple(reference.shape)}")
        return (code - reference).square().mean()


class BagOfWordsReconstruction(nn.Module):
    """Negative log-likelihood of a row's words as draws from one distribution, in nats per word.

    A linear layer makes the distribution of the code. Differs from a plain multinomial in that rows are divided by their number
    of words, so that long texts do not outweigh short ones; a row without words adds 0.

    **Arguments:** ``code_dim``; ``vocabulary``: number of words.

    >>> loss = BagOfWordsReconstruction(2, 4)
    >>> _ = [nn.init.zeros_(p) for p in loss.parameters()]
    >>> loss(torch.zeros(1, 2), torch.tensor([[2.0, 0.0, 1.0, 0.0]]))  # ln 4
    tensor(1.3863, grad_fn=<DivBackward0>)
    """

    def __init__(self, code_dim: int, vocabulary: int):
        super().__init__()
        self.out = nn.Linear(code_dim, vocabulary)

    def forward(self, code: Float[Tensor, "n d"], reference: Float[Tensor, "n v"]) -> Float[Tensor, ""]:
        """Return the loss; ``reference`` holds counts, at least 0. Raises InputError on another shape or negative counts."""
        if reference.shape != (len(code), self.out.out_features) or (reference < 0).any():
            raise InputError(
                f"reference has shape {tuple(reference.shape)} and minimum {float(reference.min()):g}; expected counts "
                f"({len(code)}, {self.out.out_features}), at least 0"
            )
        words = reference.sum(1)
        each = -(reference * self.out(code).log_softmax(1)).sum(1) / words.clamp(min=1e-9)
        return (each * (words > 0)).sum() / len(code)


class TokenReconstruction(nn.Module):
    """Cross-entropy of a text's tokens, each predicted from the tokens before it and the code (`token_loss`).

    **Arguments:**
    - ``decoder``: (tokens before (n, t), code (n, d)) -> logits (n, t, v), such as `farfield.nn.TokenDecoder`.
    - ``start``: the token that stands before the first; ``padding``: the token that fills up short texts.

    Differs from CATCH's released code, which does not shift the tokens: its decoder is given the very token that it has to
    predict, so that the code need not hold anything.

    >>> from farfield.nn import TokenDecoder
    >>> loss = TokenReconstruction(TokenDecoder(6, 20, width=8), start=1, padding=0)
    >>> loss(torch.zeros(2, 6), torch.tensor([[5, 7, 9], [4, 0, 0]])).ndim
    0
    """

    def __init__(self, decoder: Callable[[Tensor, Tensor], Tensor], *, start: int, padding: int):
        super().__init__()
        self.decoder, self.start, self.padding = decoder, start, padding

    def forward(self, code: Float[Tensor, "n d"], reference: Int[Tensor, "n t"]) -> Float[Tensor, ""]:
        """Return the loss of token ids."""
        first = torch.full_like(reference[:, :1], self.start)
        logits = self.decoder(torch.cat([first, reference[:, :-1]], 1), code)
        return token_loss(logits, reference, reference != self.padding)


def token_loss(logits: Float[Tensor, "n t v"], tokens: Int[Tensor, "n t"], mask: Tensor) -> Float[Tensor, ""]:
    """Return the cross-entropy of tokens where ``mask`` (n, t) is not 0, summed and divided by all n * t positions.

    Padding counts below the line, as in CATCH's released code: a batch of short texts has a small loss. A row that is all padding adds 0.

    >>> token_loss(torch.zeros(1, 2, 4), torch.tensor([[1, 2]]), torch.tensor([[1, 0]]))  # ln 4 / 2
    tensor(0.6931)
    """
    each = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none")
    return (each * mask.flatten()).sum() / tokens.numel()
