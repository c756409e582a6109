"""How early in training each example is told right."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array


def example_difficulty(train_fn: Callable[[int], Iterable[Array]], epochs: int, runs: int) -> Float[Tensor, " n"]:
    """Return for each example the first epoch after which it is told right, mean over runs: 1 is easy in every run.

    An example that a run never tells right within the epochs counts as ``epochs + 1`` there. Easy examples are those whose gradients
    many others share, so they come first (Chatterjee and Zielinski, 2022). To split data by it, let each run tell examples that
    it was not trained on: difficulty that comes from the evaluated training set selects what it then measures. See
    `farfield.tasks.easy_hard_split`.

    **Arguments:**
    - ``train_fn``: ``train_fn(run)`` with run = 0..runs-1 trains anew and yields, after each epoch, (n,) bool: which examples are told
      right. It is asked for that many epochs only.
    - ``epochs``, ``runs``: at least 1.

    Raises InputError on numbers below 1, a run that ends early, and on anything but (n,) bool of one n.

    >>> epochs = [np.array([True, False, False]), np.array([True, True, False])]
    >>> example_difficulty(lambda run: epochs, epochs=2, runs=1)
    tensor([1., 2., 3.], dtype=torch.float64)
    """
    for name, value in {"epochs": epochs, "runs": runs}.items():
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    found: list[Tensor] = []
    for run in range(runs):
        looks = iter(train_fn(run))
        first: Tensor | None = None
        for epoch in range(1, epochs + 1):
            right = next(looks, None)
            if right is None:
                raise InputError(f"train_fn({run}) ended after {epoch - 1} of {epochs} epochs")
            right = (right if isinstance(right, Tensor) else torch.from_numpy(np.asarray(right))).cpu()
            wanted = first.shape if first is not None else found[0].shape if found else right.shape
            if right.dtype != torch.bool or right.ndim != 1 or right.shape != wanted or not len(right):
                raise InputError(
                    f"train_fn({run}) gave {right.dtype} of shape {tuple(right.shape)} after epoch {epoch}; expected bool of "
                    f"shape {tuple(wanted) if len(wanted) == 1 else '(n,)'}"
                )
            if first is None:
                first = torch.full(right.shape, float(epochs + 1), dtype=torch.float64)
            first[right & (first > epochs)] = epoch
        assert first is not None
        found.append(first)
    return torch.stack(found).mean(0)
