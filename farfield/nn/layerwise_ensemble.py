"""A pretrained network and a small one trained from scratch, joined at several layers: LEVI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from farfield.nn.classifier import Classifier
from farfield.nn.junctions import Junctions, LevelOutputs
from farfield.nn.layer_views import LayerViews, Pool


class LayerwiseEnsemble(nn.Module):
    """Heads on several layers of a pretrained network, each of which also reads a small model that is trained from scratch.

    The hidden states of the named layers are taken in one pass by hooks, so that any network will
    do: of this package, of transformers (wherever its layers lie) or of timm. The pretrained
    network gives what is general, layer by layer; the small model gives what the new data hold;
    each head (see `Junctions`) joins one layer with the small model, and the heads are averaged.

    **Arguments:**
    - ``pretrained``: any module. Unless ``freeze`` is False it is run without gradients and in
      evaluation mode (BatchNorm, dropout), and its parameters are set to need no gradient.
    - ``layers``: names as in ``pretrained.named_modules()`` or patterns such as
      ``"encoder.layer.*"``, see `farfield.measure.layer_names`; `spread_layers` chooses some.
    - ``small``: inputs -> features (n, d_g); None leaves it out. A second pretrained network can
      stand here too, in `Frozen`.
    - ``example``: a few inputs, as ``forward`` takes them, from which the widths of the layers are
      seen; ``example_small`` likewise.
    - ``out_dim``, ``hidden``, ``weights``, ``nested``: of the heads, see `Junctions`.
    - ``pool``: how the states of tokens, patches or a feature map become one vector, see
      `farfield.measure.activations`: "mean" (over the tokens that the attention mask keeps), "cls",
      "max", "last", a function; "none" where they are vectors already.
    - ``freeze``: False trains what of the pretrained network requires a gradient, through the
      heads, such as LoRA's factors.

    **Fields:** ``views`` (`LayerViews`), ``junctions`` (`Junctions`).

    Raises InputError on a layer that the network lacks (with the nearest names), that does not run
    or gives no vectors, and where the two networks share a parameter.

    Source: Roh et al., "LEVI: generalizable fine-tuning via layer-wise ensemble of different
    views", ICML 2024. No code was released.

    >>> import torch
    >>> big = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 7))
    >>> small = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    >>> model = LayerwiseEnsemble(big, ["1", "3"], small, out_dim=10, example=torch.zeros(2, 4))
    >>> outputs = model(torch.zeros(5, 4))
    >>> len(outputs.per_layer), outputs.combined.shape, model.layers
    (2, torch.Size([5, 10]), ('1', '3'))
    """

    def __init__(
        self,
        pretrained: nn.Module,
        layers: str | Sequence[str],
        small: nn.Module | None,
        *,
        out_dim: int,
        example: Any,
        example_small: Any = None,
        hidden: int = 64,
        pool: Pool = "mean",
        weights: Literal["uniform", "learned", "last"] = "uniform",
        nested: bool = False,
        freeze: bool = True,
    ):
        super().__init__()
        self.views = LayerViews(
            pretrained, layers, small, example=example, example_small=example_small, pool=pool, freeze=freeze
        )
        self.junctions = Junctions(
            self.views.widths, self.views.small_width, out_dim=out_dim, hidden=hidden, weights=weights, nested=nested
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, patterns resolved."""
        return tuple(self.views.widths)

    def forward(self, x_big: Tensor | Mapping[str, Any], x_small: Any = None) -> LevelOutputs:
        """Return what the heads say.

        **Arguments:** ``x_big``: what the pretrained network takes: a tensor, or a mapping of its
        arguments, as a tokenizer returns; ``x_small``: what the small model takes, ``x_big`` where
        it is left out.
        """
        return self.from_features(self.views.features(x_big), x_big if x_small is None else x_small)

    def from_features(self, features: Mapping[str, Tensor], x_small: Any = None) -> LevelOutputs:
        """Return what the heads say where the pretrained network's features are at hand, as `farfield.reuse.layer_features` caches them.

        **Arguments:** ``features``: layer -> (n, d); ``x_small``: what the small model takes, where
        there is one.
        """
        return self.junctions(features, self.views.small_features(x_small))

    def classifier(self) -> Classifier:
        """Return the same parts as a `Classifier`: features are all views side by side, logits the log of the mean probabilities."""
        return Classifier(self.views, JunctionHead(self.junctions))


class JunctionHead(nn.Module):
    """Heads on the views of `LayerViews` side by side (n, d), together: the logarithm of their mean probabilities (n, C).

    >>> import torch
    >>> JunctionHead(Junctions({"1": 3, "2": 2}, 4, out_dim=5))(torch.zeros(6, 9)).shape
    torch.Size([6, 5])
    """

    def __init__(self, junctions: Junctions):
        super().__init__()
        self.junctions = junctions

    def forward(self, rows: Tensor) -> Tensor:
        widths = self.junctions.widths
        *views, small = rows.split([*widths.values(), self.junctions.small_width], 1)
        features = dict(zip(widths, views))
        return self.junctions(features, small if self.junctions.small_width else None).log_probabilities
