"""Inputs of which several features are known, each one an output of its own: what the generators of such data return."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.tasks.task import Table


class LabelledFeatures:
    """Inputs with the values of several features, and which of them may be learned from.

    **Fields:**
    - ``x``: (n, ...) inputs.
    - ``y``: (n, features) int64, from 0 to below ``classes``; ``names``, ``classes``: of each feature.
    - ``mask``: (n, features) bool, the labels that count in the loss: all of them, except where a prevalence below 1 was asked for.

    >>> data = LabelledFeatures(torch.zeros(3, 2), torch.tensor([[0, 1], [1, 0], [1, 1]]), names=("a", "b"), classes=(2, 2))
    >>> data.features()["a"].tolist(), data.table(only="a").columns["mask"].tolist()
    ([0, 1, 1], [[True, False], [True, False], [True, False]])
    """

    def __init__(
        self, x: Tensor, y: Tensor, *, names: Sequence[str], classes: Sequence[int], mask: Tensor | None = None
    ):
        self.x, self.y, self.names, self.classes = x, y, tuple(names), tuple(classes)
        self.mask = torch.ones_like(y, dtype=torch.bool) if mask is None else mask
        if y.shape != (len(x), len(self.names)) or len(self.classes) != len(self.names) or self.mask.shape != y.shape:
            raise InputError(
                f"x has {len(x)} rows, y shape {tuple(y.shape)}, mask {tuple(self.mask.shape)}, {len(self.names)} names and "
                f"{len(self.classes)} numbers of classes; y and mask must be (rows, features)"
            )

    def __len__(self) -> int:
        return len(self.x)

    def features(self) -> dict[str, Tensor]:
        """Return feature -> labels (n,), as the measures of variance take them."""
        return {name: self.y[:, i] for i, name in enumerate(self.names)}

    def table(self, *, only: str | None = None) -> Table:
        """Return x, y and mask as a split to train on; ``only`` masks the labels of all other features.

        Raises InputError on a feature that is not there.
        """
        mask = self.mask
        if only is not None:
            if only not in self.names:
                raise unknown_name("feature", only, self.names)
            mask = mask & torch.tensor([name == only for name in self.names])
        return Table(x=self.x, y=self.y, mask=mask)


def draw_mask(n: int, names: Sequence[str], prevalence: Mapping[str, float], generator: torch.Generator) -> Tensor:
    """Return (n, features) bool: a share ``prevalence[name]`` of the rows, drawn at random, has that feature's label.

    Raises InputError on a share that is not above 0 and up to 1, on one that leaves no row, and on an unknown feature.

    >>> draw_mask(10, ["a", "b"], {"b": 0.3}, torch.Generator().manual_seed(0)).sum(0).tolist()
    [10, 3]
    """
    mask = torch.ones(n, len(names), dtype=torch.bool)
    for name, share in prevalence.items():
        if name not in names:
            raise unknown_name("feature in prevalence", name, names)
        if not 0 < share <= 1 or round(share * n) < 1:
            raise InputError(
                f"the prevalence of {name!r} is {share}; of {n} rows it must leave at least one, at most all"
            )
        mask[torch.randperm(n, generator=generator)[round(share * n) :], names.index(name)] = False
    return mask
