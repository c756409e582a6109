"""Small heads, one for each layer of a network, that also read a second network, and their ensemble."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError, unknown_name

WEIGHTS = ("uniform", "learned", "last")


@dataclass(frozen=True)
class LevelOutputs:
    """What an ensemble of heads says, head by head and together.

    **Fields:** ``per_layer``: outputs (n, C) of each head; ``weights``: (heads,), they sum to 1;
    ``combined``: (n, C), the weighted mean of the outputs.

    >>> outputs = LevelOutputs((torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])), torch.tensor([0.5, 0.5]))
    >>> outputs.combined.tolist(), outputs.probabilities
    ([[1.0, 0.0]], tensor([[0.6904, 0.3096]]))
    """

    per_layer: tuple[Float[Tensor, "n outputs"], ...]
    weights: Float[Tensor, " heads"]

    @property
    def combined(self) -> Float[Tensor, "n outputs"]:
        """The weighted mean of the outputs: the prediction of a regression."""
        return torch.einsum("s,snc->nc", self.weights.to(self.per_layer[0]), torch.stack(self.per_layer))

    @property
    def log_probabilities(self) -> Float[Tensor, "n outputs"]:
        """The logarithm of `probabilities`, which stands where logits do: the same decision, the same cross-entropy."""
        each = torch.stack(self.per_layer).log_softmax(-1)  # (heads, n, C)
        return (each + self.weights.to(each).log()[:, None, None]).logsumexp(0)

    @property
    def probabilities(self) -> Float[Tensor, "n outputs"]:
        """The weighted mean of the softmax of each head: the prediction of a classification."""
        return self.log_probabilities.exp()


class Junctions(nn.Module):
    """A head for each layer, on that layer's features beside the features of a small model: ``A_l([LayerNorm(p_l); g])``.

    ``A_l([p; g]) = W2 relu(W1 [p; g] + b1) + b2``. The product with W1 is taken in two parts, since
    g is the same for all layers: one product with g serves every head. The layer norm has no
    parameters; it brings layers of different scale together. It has
    the sum over layers of ``(d_l + d_g) h + h + h C + C`` parameters.

    **Arguments:**
    - ``widths``: layer -> its number of features d_l, early layers first.
    - ``small_width``: d_g; 0 is for heads on the layers alone.
    - ``out_dim``: C, outputs of every head.
    - ``hidden``: h; 0 leaves the hidden layer out, so that a head is linear.
    - ``weights``: "uniform" (1 / heads), "learned" (softmax of one parameter for each head, uniform
      at first; only a loss on the combined output moves them), or "last" (all weight on the last
      layer's head).
    - ``nested``: each head also reads the hidden units of the head before it; needs ``hidden``.

    Raises InputError on an argument out of its range.

    Source: Roh et al., ICML 2024 (adapting layers). The text gives their inputs and their purpose;
    two layers with a hidden ReLU, the layer norm and the nested form are our reading.

    >>> junctions = Junctions({"1": 128, "3": 128, "5": 128}, 32, out_dim=10, hidden=32)
    >>> sum(p.numel() for p in junctions.parameters())
    16446
    >>> junctions({name: torch.ones(2, 128) for name in "135"}, torch.ones(2, 32)).combined.shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        small_width: int,
        *,
        out_dim: int,
        hidden: int = 64,
        weights: Literal["uniform", "learned", "last"] = "uniform",
        nested: bool = False,
    ):
        super().__init__()
        if not widths or min(widths.values()) < 1:
            raise InputError(f"widths is {dict(widths)}; expected at least one layer, each of at least one feature")
        if small_width < 0 or out_dim < 1 or hidden < 0:
            raise InputError(
                f"small_width is {small_width}, out_dim {out_dim} and hidden {hidden}; expected at least 0, 1 and 0"
            )
        if weights not in WEIGHTS:
            raise unknown_name("weights", str(weights), WEIGHTS)
        if nested and not hidden:
            raise InputError("nested heads read the hidden units of the one before; hidden is 0, expected at least 1")
        self.widths, self.small_width, self.hidden, self.weighting = dict(widths), small_width, hidden, weights
        heads, inner = len(self.widths), hidden or out_dim
        self.by_layer = nn.ParameterList(torch.empty(inner, d) for d in self.widths.values())
        self.by_small = nn.Parameter(torch.empty(heads * inner, small_width)) if small_width else None
        self.bias = nn.Parameter(torch.empty(heads * inner))
        self.by_previous = nn.ParameterList(torch.empty(inner, inner) for _ in range(heads - 1)) if nested else None
        self.out = nn.Parameter(torch.empty(heads, hidden, out_dim)) if hidden else None
        self.out_bias = nn.Parameter(torch.empty(heads, 1, out_dim)) if hidden else None
        self.scores = nn.Parameter(torch.zeros(heads)) if weights == "learned" else None
        self._initialise(nested)

    @torch.no_grad()
    def _initialise(self, nested: bool) -> None:
        """Draw each head as ``nn.Linear`` would on its concatenated input: uniform up to 1 / sqrt(number of inputs)."""
        inner = self.hidden or len(self.bias) // len(self.widths)
        for i, width in enumerate(self.widths.values()):
            rows = slice(i * inner, (i + 1) * inner)
            parts = [self.by_layer[i], self.bias[rows]]
            if self.by_small is not None:
                parts.append(self.by_small[rows])
            reads = width + self.small_width
            if nested and i:
                parts.append(self.by_previous[i - 1])
                reads += inner
            for part in parts:
                part.uniform_(-1 / math.sqrt(reads), 1 / math.sqrt(reads))
        if self.out is not None:
            for part in (self.out, self.out_bias):
                part.uniform_(-1 / math.sqrt(self.hidden), 1 / math.sqrt(self.hidden))

    @property
    def weights(self) -> Float[Tensor, " heads"]:
        """The weight of each head; they sum to 1."""
        heads = len(self.widths)
        if self.scores is not None:
            return self.scores.softmax(0)
        if self.weighting == "last":
            return torch.eye(heads, device=self.bias.device)[-1]
        return torch.full((heads,), 1 / heads, device=self.bias.device)

    def forward(self, features: Mapping[str, Float[Tensor, "n _"]], small: Tensor | None = None) -> LevelOutputs:
        """Return the outputs of all heads.

        **Arguments:** ``features``: layer -> (n, d_l), others are ignored; ``small``: (n, d_g),
        where there is a small model.

        Raises InputError where a layer is absent, or its features or the small model's have another
        width.
        """
        rows = [self._of(features, name, width) for name, width in self.widths.items()]
        if (0 if small is None else small.shape[-1]) != self.small_width:
            came = "none came" if small is None else f"these have shape {tuple(small.shape)}"
            raise InputError(f"the small model's features must be (n, {self.small_width}); {came}")
        own = [nn.functional.linear(nn.functional.layer_norm(p, p.shape[-1:]), w) for p, w in zip(rows, self.by_layer)]
        shared = self.bias if self.by_small is None else nn.functional.linear(small, self.by_small, self.bias)
        inner = torch.stack(own, 1) + shared.unflatten(-1, (len(own), -1))  # (n, heads, h)
        if self.out is None:
            return LevelOutputs(inner.unbind(1), self.weights)
        if self.by_previous is None:
            inner = inner.relu()
        else:
            found = [inner[:, 0].relu()]
            for i, weight in enumerate(self.by_previous):
                found.append((inner[:, i + 1] + nn.functional.linear(found[-1], weight)).relu())
            inner = torch.stack(found, 1)
        return LevelOutputs(torch.baddbmm(self.out_bias, inner.transpose(0, 1), self.out).unbind(0), self.weights)

    def _of(self, features: Mapping[str, Tensor], name: str, width: int) -> Tensor:
        if name not in features:
            raise unknown_name("layer of the features", name, features)
        if features[name].ndim != 2 or features[name].shape[1] != width:
            raise InputError(
                f"the features of the layer {name!r} have shape {tuple(features[name].shape)}; expected (n, {width})"
            )
        return features[name]
