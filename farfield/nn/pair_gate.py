"""Which features two classes share: a gate over the dimensions of a representation for every pair of labels."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from farfield.errors import InputError, unknown_name

COMBINE: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": lambda a, b: (a + b) / 2,
    "product": torch.mul,
    "max": torch.maximum,
}


class PairGate(nn.Module):
    """A gate in (0, 1) for every feature and unordered pair of labels: ``g(a, b) = sigmoid(MLP((e_a + e_b) / 2))``.

    ``e`` is a table with one learned vector per label. The gate depends on labels alone, and only on which two they
    are: g(a, b) = g(b, a) exactly. It is for training; what is learned is used without it.

    **Arguments:**
    - ``num_classes``: C, at least 1. Labels are 0 to C - 1. For pairs of your own, give each an identity and call
      ``gate(i, i)``.
    - ``dim``: features that are gated; ``label_dim``: width of the table; ``hidden``: width of the MLP's one hidden
      layer.
    - ``combine``: how two vectors of the table become one: "mean" as in the paper, "product" or "max".

    The table is ``labels.weight``; weight decay on it pulls all labels together, so give it none. Weights are drawn
    from torch's random state.

    Raises InputError on a number below 1, another ``combine``, and labels that are not whole numbers from 0 to C - 1.

    Source: Wu et al., "Rethinking Positive Pairs in Contrastive Learning" (Hydra, later SimLAP), 2024, the label
    encoder and the gate network. No code is published; the widths are ours.

    >>> gate = PairGate(num_classes=10, dim=4)
    >>> a, b = torch.tensor([3, 7]), torch.tensor([5, 7])
    >>> gate(a, b).shape, torch.equal(gate(a, b), gate(b, a)), gate.num_pairs
    (torch.Size([2, 4]), True, 55)
    """

    def __init__(self, num_classes: int, dim: int, label_dim: int = 64, hidden: int = 256, combine: str = "mean"):
        super().__init__()
        for name, value in {
            "num_classes": num_classes, "dim": dim, "label_dim": label_dim, "hidden": hidden
        }.items():  # fmt: skip
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        if combine not in COMBINE:
            raise unknown_name("combine", combine, COMBINE)
        self.num_classes, self.combine = num_classes, combine
        self.labels = nn.Embedding(num_classes, label_dim)
        self.network = nn.Sequential(nn.Linear(label_dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    @property
    def num_pairs(self) -> int:
        """How many unordered pairs there are, a label with itself included: ``C (C + 1) / 2``."""
        return self.num_classes * (self.num_classes + 1) // 2

    def forward(self, y1: Int[Tensor, " n"], y2: Int[Tensor, " n"]) -> Float[Tensor, "n dim"]:
        """Return the gate of each pair of labels."""
        for name, y in {"y1": y1, "y2": y2}.items():
            if y.dtype.is_floating_point or y.dtype is torch.bool or y.shape != y1.shape or y.ndim != 1:
                raise InputError(
                    f"{name} is {y.dtype} of shape {tuple(y.shape)}; expected whole numbers (n,), as many in y1 as in y2"
                )
            if len(y) and not (int(y.min()) >= 0 and int(y.max()) < self.num_classes):
                raise InputError(
                    f"{name} has labels from {int(y.min())} to {int(y.max())}; the gate has {self.num_classes} classes"
                )
        combined = COMBINE[self.combine](self.labels(y1), self.labels(y2))
        return self.network(combined).sigmoid()

    @torch.no_grad()
    def class_relations(self, of: str = "gates") -> Float[Tensor, "classes classes"]:
        """Return the cosine similarity of every two classes.

        **Arguments:** ``of``: "gates", of the gates g(y, y), from 0 to 1; or "labels", of the table's vectors, from
        -1 to 1.

        Raises InputError on another ``of``.

        >>> PairGate(num_classes=3, dim=8).class_relations().diagonal()
        tensor([1.0000, 1.0000, 1.0000])
        """
        if of not in ("gates", "labels"):
            raise unknown_name("of", of, ("gates", "labels"))
        every = torch.arange(self.num_classes, device=self.labels.weight.device)
        rows = normalize(self(every, every) if of == "gates" else self.labels.weight, dim=1)
        return rows @ rows.T
