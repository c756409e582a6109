"""Decoders that write a text from one vector, for reconstruction losses."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError, MissingExtra


class TokenDecoder(nn.Module):
    """A recurrent decoder: logits of each next token, given the tokens before it and one vector.

    **Arguments:** ``code_dim``: width of the vector; ``vocabulary``: number of tokens; ``width``: of the recurrent layer (GRU).

    >>> decoder = TokenDecoder(6, vocabulary=20, width=8)
    >>> decoder(torch.zeros(2, 5, dtype=torch.long), torch.zeros(2, 6)).shape
    torch.Size([2, 5, 20])
    """

    def __init__(self, code_dim: int, vocabulary: int, *, width: int = 128):
        super().__init__()
        if min(code_dim, vocabulary, width) < 1:
            raise InputError(f"code_dim is {code_dim}, vocabulary {vocabulary}, width {width}; each must be at least 1")
        self.embed = nn.Embedding(vocabulary, width)
        self.start = nn.Linear(code_dim, width)
        self.cell = nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, before: Int[Tensor, "n t"], code: Float[Tensor, "n d"]) -> Float[Tensor, "n t v"]:
        """Return logits; ``before[:, i]`` is the token in front of the one that position i predicts."""
        states, _ = self.cell(self.embed(before), self.start(code).tanh()[None])
        return self.out(states)


class CrossAttentionDecoder(nn.Module):
    """The decoder of a pretrained text-to-text model, whose cross-attention sees one vector in place of an encoded text.

    **Arguments:** ``decoder``: a decoder of transformers that takes ``input_ids`` and ``encoder_hidden_states``, such as
    ``BartModel(...).decoder``; ``code_dim``: width of the vector, projected to the decoder's where they differ; ``vocabulary``: of the
    new linear layer that makes the logits.

    Source: CATCH's reconstruction (BART-base, a new linear layer on 50,265 tokens).

    >>> from transformers import BartConfig, BartModel
    >>> small = BartConfig(vocab_size=30, d_model=8, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=8,
    ...     encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=8, max_position_embeddings=16)
    >>> CrossAttentionDecoder(BartModel(small).decoder, 6, 30)(torch.zeros(2, 5, dtype=torch.long), torch.zeros(2, 6)).shape
    torch.Size([2, 5, 30])
    """

    def __init__(self, decoder: nn.Module, code_dim: int, vocabulary: int):
        super().__init__()
        width = decoder.config.hidden_size
        self.decoder = decoder
        self.project = nn.Identity() if code_dim == width else nn.Linear(code_dim, width)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, before: Int[Tensor, "n t"], code: Float[Tensor, "n d"]) -> Float[Tensor, "n t v"]:
        """Return logits; ``before[:, i]`` is the token in front of the one that position i predicts."""
        seen = self.project(code)[:, None]  # (n, 1, width)
        states = self.decoder(input_ids=before, encoder_hidden_states=seen, use_cache=False).last_hidden_state
        return self.out(states)


def pretrained_token_decoder(path: str, code_dim: int) -> CrossAttentionDecoder:
    """Return the decoder of a pretrained text-to-text model, by its folder or its id on the hub.

    Raises MissingExtra without the package transformers, InputError where it cannot be loaded or has no decoder.

    >>> pretrained_token_decoder("./no-such-folder", 6)
    Traceback (most recent call last):
    farfield.errors.InputError: the model hf:./no-such-folder: there is no such folder
    """
    from farfield.nn.hub import loading

    try:
        from transformers import AutoModel
    except ImportError:
        raise MissingExtra("transformers", extra="hf", needed_by=f"the decoder hf:{path}") from None
    with loading(path, "weights") as where:
        model = AutoModel.from_pretrained(path, use_safetensors=True, dtype=torch.float32, **where)
    if not getattr(model.config, "is_encoder_decoder", False):
        raise InputError(f"the model hf:{path} has no decoder that attends to an encoded text, such as BART has")
    return CrossAttentionDecoder(model.get_decoder(), code_dim, model.config.vocab_size)
