"""Language models that predict the next token: a small one of our own, and GPT-Neo with random weights."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError, MissingExtra
from farfield.nn.transformer_block import TransformerBlock


class TinyCausalLM(nn.Module):
    """A pre-norm transformer over tokens with learned positions: ``forward(x) = head(features(x))``.

    The features are those after the last layer norm; the head has no bias. All weights are drawn from the caller's random
    state: normal with deviation 0.02, as in GPT-2.

    **Arguments:**
    - ``vocab``: tokens are 0 to vocab - 1; ``width``: features of a token, a multiple of ``heads``; ``depth``: blocks;
      ``context``: the longest sequence.
    - ``tied``: the head's weight is that of the input embedding.

    Raises InputError where a size is below 1, or ``heads`` does not divide ``width``.

    >>> import torch
    >>> model = TinyCausalLM(vocab=10, width=8, depth=1, heads=2, context=6)
    >>> model(torch.zeros(2, 6, dtype=torch.long)).shape, model.head.weight is model.embed.weight
    (torch.Size([2, 6, 10]), True)
    """

    def __init__(self, vocab: int, width: int, depth: int, heads: int, context: int, tied: bool = True):
        super().__init__()
        sizes = {"vocab": vocab, "width": width, "depth": depth, "heads": heads, "context": context}
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        if width % heads:
            raise InputError(f"heads is {heads}; it must divide the width {width}")
        self.context = context
        self.embed = nn.Embedding(vocab, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads, causal=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocab, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        if tied:
            self.head.weight = self.embed.weight

    def features(self, x: Int[Tensor, "n t"]) -> Float[Tensor, "n t width"]:
        """Return what the head reads at each position, which depends on this token and those before it only.

        Raises InputError on sequences longer than ``context``.

        >>> import torch
        >>> TinyCausalLM(10, 8, 1, 2, 6).features(torch.zeros(2, 4, dtype=torch.long)).shape
        torch.Size([2, 4, 8])
        """
        if x.shape[1] > self.context:
            raise InputError(f"x has {x.shape[1]} tokens in a row; the model takes up to {self.context}")
        tokens = self.embed(x) + self.position.weight[: x.shape[1]]  # (n, t, width)
        return self.norm(self.blocks(tokens))

    def forward(self, x: Int[Tensor, "n t"]) -> Float[Tensor, "n t vocab"]:
        return self.head(self.features(x))


def gpt_neo(vocab: int, width: int, depth: int, context: int, *, heads: int = 16) -> Any:
    """Return Hugging Face's GPT-Neo with random weights: global and local attention (256 tokens) in turn, tied output, no dropout.

    Source: the architecture of Wu & Papyan, NeurIPS 2024

    Raises MissingExtra without the package ``transformers``, InputError where ``heads`` does not divide ``width``.

    >>> gpt_neo(vocab=10, width=32, depth=1, context=8).config.attention_layers
    ['global']
    """
    if width < 1 or width % heads:
        raise InputError(f"heads is {heads}; it must divide the width {width}")
    try:
        from transformers import GPTNeoConfig, GPTNeoForCausalLM
    except ImportError:
        raise MissingExtra("transformers", extra="hf", needed_by="the architecture GPT-Neo") from None

    pairs = [[["global", "local"], depth // 2]] if depth > 1 else []
    config = GPTNeoConfig(
        vocab_size=vocab,
        hidden_size=width,
        num_layers=depth,
        num_heads=heads,
        max_position_embeddings=context,
        attention_types=[*pairs, *([[["global"], 1]] if depth % 2 else [])],
        # The ids are those of the tokenizer; nothing is generated here.
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPTNeoForCausalLM(config)
