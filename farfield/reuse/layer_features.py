"""The features of a frozen network's layers, computed once, so that nothing has to run it again."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._pooling import Pool
from farfield.measure.activations import activations


def layer_features(
    model: nn.Module, names: str | Sequence[str], loader: Any, pool: Pool = "mean", *, batch_size: int = 256
) -> dict[str, Tensor]:
    """Return the pooled states of named layers on data: by layer, (n, d) on the CPU, rows in the order of the data.

    They are what `farfield.nn.LayerwiseEnsemble` sees of a frozen network, so its heads can be
    trained from them by ``from_features``: as columns of a `farfield.tasks.Table`, beside the
    inputs of the small model.

    **Arguments:**
    - ``model``: run in evaluation mode and without gradients, as a frozen network is.
    - ``names``: layers or patterns, see `farfield.measure.activations`.
    - ``loader``: a tensor, a split of a task, or an iterable of batches such as a DataLoader that
      does not shuffle.
    - ``pool``: "mean", "cls", "max", "last" or a function; "none" where the layers give vectors
      already.

    Raises InputError on an unknown layer (with the nearest) or pool, a layer that gives no vectors
    where ``pool`` is "none", and where the features need more memory than is free.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> {name: tuple(rows.shape) for name, rows in layer_features(model, ["1"], torch.zeros(5, 2)).items()}
    {'1': (5, 3)}
    """
    if pool == "space":
        raise InputError("pool is 'space', which gives several rows for an example; expected one, such as 'mean'")
    chosen = _vectors if pool == "none" else pool
    return activations(model, loader, names, pool=chosen, batch_size=batch_size, progress=False)


def _vectors(output: Tensor, mask: Tensor | None) -> Tensor:
    if output.ndim != 2:
        raise InputError(f"a layer gives {tuple(output.shape)} and pool is 'none'; expected (n, d), or another pool")
    return output
