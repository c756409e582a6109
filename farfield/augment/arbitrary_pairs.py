"""A partner for each row of a batch, of any class or with a chosen share of its own: the positive pairs of contrastive learning."""

import torch
from jaxtyping import Int
from torch import Tensor, nn

from farfield.errors import InputError, unknown_name

SAMPLERS = ("permutation", "stratified")


class ArbitraryPairs(nn.Module):
    """Draw a partner for each row of a batch by its labels: ``x2, y2 = x[pairs(y)], y[pairs(y)]`` with one call.

    **Arguments:**
    - ``sampler``: "permutation": every row is a partner once, whatever its class; of balanced classes about one pair
      in C has a single class. "stratified": a share ``same_class`` of the rows, drawn at random, get a partner of
      their own class and the others one of another class, each drawn evenly from all there are; a row may then be
      partner several times.
    - ``same_class``: p in [0, 1], for "stratified" only. p = 1 makes the pairs of supervised contrastive learning.
    - ``fixed_points``: whether a row may be its own partner, which with two augmentations is a pair of ordinary
      contrastive learning. A random permutation has one such row on average. "stratified" takes a row itself only
      where its class has no other.
    - ``seed``: of the draws, which continue from batch to batch.

    Raises InputError on another sampler or a share out of range, and on a batch that cannot be paired so.

    Source: Wu et al., "Rethinking Positive Pairs in Contrastive Learning", 2024: any two images of a batch are a pair.

    >>> pairs = ArbitraryPairs("stratified", same_class=1.0)
    >>> pairs(torch.tensor([5, 8, 5, 8]))
    tensor([2, 3, 0, 1])
    """

    def __init__(
        self,
        sampler: str = "permutation",
        *,
        same_class: float | None = None,
        fixed_points: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        if sampler not in SAMPLERS:
            raise unknown_name("sampler", sampler, SAMPLERS)
        if (same_class is None) != (sampler == "permutation") or not 0 <= (same_class or 0) <= 1:
            raise InputError(
                f"same_class is {same_class} with the sampler {sampler}; 'stratified' needs a share from 0 to 1, 'permutation' none"
            )
        self.sampler, self.same_class, self.fixed_points = sampler, same_class, fixed_points
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, y: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Return the partner's row of each row. **Arguments:** ``y``: class of each row, at least one."""
        if y.ndim != 1 or not len(y):
            raise InputError(f"y has shape {tuple(y.shape)}; expected (n,) with n at least 1")
        found = self._permutation(len(y)) if self.sampler == "permutation" else self._stratified(y.cpu())
        return found.to(y.device)

    def _permutation(self, n: int) -> Tensor:
        if not self.fixed_points and n < 2:
            raise InputError("the batch has 1 row, which is no partner for itself without fixed_points")
        while True:
            order = torch.randperm(n, generator=self.generator)
            # About one in three has no fixed point, for every n: all such are drawn equally often.
            if self.fixed_points or not (order == torch.arange(n)).any():
                return order

    def _stratified(self, y: Tensor) -> Tensor:
        n = len(y)
        _, label, counts = y.unique(return_inverse=True, return_counts=True)
        size = counts[label]
        wanted = round(self.same_class * n)
        if wanted < n and len(counts) < 2:
            raise InputError(f"all {n} rows are of one class; same_class is {self.same_class}, so others are needed")
        # Rows that can have a partner of their own class come first.
        able = torch.ones(n, dtype=torch.bool) if self.fixed_points else size > 1
        if wanted > int(able.sum()):
            raise InputError(
                f"{int(able.sum())} of {n} rows have another of their class; same_class {self.same_class} needs {wanted}, or fixed_points"
            )
        draw = torch.rand(n, generator=self.generator)
        same = torch.zeros(n, dtype=torch.bool)
        same[(draw + ~able).argsort()[:wanted]] = True
        # With classes side by side: a row's own class is from start to start + size, the others follow around the ring.
        order = label.argsort(stable=True)
        start = (counts.cumsum(0) - counts)[label]
        place = order.argsort() - start  # within the class
        draw = torch.rand(n, generator=self.generator, dtype=torch.float64)
        own = start + (place + 1 + (draw * (size - 1)).long()) % size
        other = (start + size + (draw * (n - size)).long()) % n
        return order[torch.where(same, own, other)]
