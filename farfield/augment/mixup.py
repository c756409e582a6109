"""Mixup: train on lines between pairs of examples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from farfield.errors import InputError


class Mixup(nn.Module):
    """Mix each example of a batch, and its label, with another one of the batch.

    ``x' = lam * x_i + (1 - lam) * x_j`` and the same for one-hot labels, with ``lam ~ Beta(alpha, alpha)`` drawn once per
    batch and j a permutation of the batch (Zhang et al., ICLR 2018, section 2).

    **Arguments:**
    - ``classes``: number of classes, at least 1.
    - ``alpha``: above 0: small is close to one of the two examples; 0 does not mix.
    - ``seed``: of the draws, which continue from batch to batch.
    - ``also``: other floating-point columns ``(n, ...)`` to mix like ``x``, such as the anchors of the examples' features.

    Raises InputError on an alpha below 0 or classes below 1.

    >>> batch = {"x": torch.tensor([[0.0], [1.0]]), "y": torch.tensor([0, 1])}
    >>> mixed = Mixup(2, alpha=0.2, seed=1)(batch)
    >>> bool((mixed["x"][:, 0] == mixed["y"][:, 1]).all())
    True
    """

    def __init__(self, classes: int, *, alpha: float = 0.2, seed: int = 0, also: Sequence[str] = ()):
        super().__init__()
        if classes < 1:
            raise InputError(f"classes is {classes}; it must be at least 1")
        if not alpha >= 0:
            raise InputError(f"alpha is {alpha}; it must be at least 0")
        self.classes = classes
        self.alpha = alpha
        self.also = tuple(also)
        self.random = np.random.default_rng([seed, 0x312])

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the batch with ``x`` mixed and ``y`` as class shares ``(n, classes)``; other columns are those of i.

        **Arguments:** ``batch``: ``x`` (n, ...) floating-point; ``y`` (n,) class indices.

        Raises InputError where ``x`` is not floating-point: numbers of tokens cannot be mixed.
        """
        x, y = batch["x"], batch["y"]
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            raise InputError(f"mixup needs floating-point inputs x, but {getattr(x, 'dtype', type(x).__name__)} came")
        lam = self.random.beta(self.alpha, self.alpha) if self.alpha > 0 else 1.0
        other = torch.from_numpy(self.random.permutation(len(y))).to(y.device)
        shares = nn.functional.one_hot(y, self.classes).to(x.dtype)
        # x_j + lam * (x_i - x_j) would not give x_i back at lam = 1.
        columns = {"x": x, "y": shares, **{name: batch[name] for name in self.also}}
        return {**batch, **{name: lam * rows + (1 - lam) * rows[other] for name, rows in columns.items()}}
