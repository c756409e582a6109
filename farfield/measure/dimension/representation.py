"""The intrinsic dimension of what a layer of a network makes of data."""

from typing import Any

from torch import nn

from farfield.measure._pooling import Pool
from farfield.measure.activations import activations
from farfield.measure.dimension.intrinsic_dimension import intrinsic_dimension


def representation_dimension(
    model: nn.Module,
    layer: str,
    loader: Any,
    *,
    method: str = "mle",
    k: int = 20,
    pool: Pool = "flatten",
    max_samples: int | None = None,
    batch_size: int = 256,
    seed: int = 0,
) -> float:
    """Return the intrinsic dimension of a layer's activations over a data set, the model in evaluation mode.

    The paper finds it at most that of the data itself; compare the two with the same method on the same examples. It takes the
    layer before the logits; ``"head:input"`` names what goes into the layer ``head``.

    **Arguments:**
    - ``layer``, ``loader``, ``pool``, ``batch_size``: see `farfield.measure.activations`; a feature map is flattened.
    - ``method``, ``k``, ``max_samples``, ``seed``: see `farfield.measure.intrinsic_dimension`. The authors' scripts take
      "twonn" here and "mle" for the data.

    Units that never fire add nothing. Examples with the same activations count once.

    Raises InputError on an unknown layer, and as `intrinsic_dimension` does: too few different activations are how a layer of
    dead units shows.

    Source: Konz & Mazurowski, ICLR 2024, section 5.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    >>> 0 < representation_dimension(model, "2:input", x) < 3.5
    True
    """
    found = activations(model, loader, [layer], pool=pool, batch_size=batch_size, progress=False)[layer]
    return intrinsic_dimension(found, method, k, max_samples=max_samples, seed=seed)
