"""Class means and within-class variances of features that do not fit in memory: batch by batch, in one pass or two."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, _from_numpy, like

IGNORED = -100
# Numbers of a batch that are converted and added at a time. About 3 MiB stay in a core's cache, which is six times as fast
# as whole batches; a GPU wants them larger.
BLOCK = {"cpu": 400_000, "cuda": 1 << 26}
# Rows of the first batch whose mean is the point around which squares are summed.
ORIGIN = 256


@dataclass(frozen=True)
class ClassMoments:
    """What is known of K classes, those with enough examples.

    **Fields:**
    - ``means`` (K, d); ``counts`` (K,) examples; ``var`` (K,) mean squared distance to the class mean, 0 for a class of one.
    - ``global_mean`` (d,): the unweighted mean of the class means.
    - ``index`` (K,): which class each row is, ascending.
    - ``within``: (d, d) covariance of the deviations from the class means, pooled over all examples, also those of classes
      that were left out; None where it was not asked for.

    >>> import numpy as np
    >>> two = ClassMoments(np.eye(2), np.array([3, 1]), np.array([0.4, 0.0]), np.full(2, 0.5), np.arange(2))
    >>> round(two.within_trace, 6)
    0.3
    """

    means: Array
    counts: Array
    var: Array
    global_mean: Array
    index: Array
    within: Array | None = None

    @property
    def within_trace(self) -> float:
        """Trace of the covariance pooled over the examples of these classes, which needs no (d, d) matrix."""
        return float((self.counts * self.var).sum() / self.counts.sum())


class ClassStatistics:
    """Counts, sums and squared distances by class, from batches in any order and size; memory (n_classes, dim), whatever n.

    One pass is enough: ``var_c = E |x - a|^2 - |mean_c - a|^2`` around a common point ``a``, the mean of the first rows, so
    that features far from the origin lose no digits. Where even that is not exact enough (classes 1e6 times further from
    each other than they are wide), go over the same data again with `update_deviations`.

    **Arguments:**
    - ``n_classes``: labels are 0 to n_classes - 1; the label -100 (padding) is left out.
    - ``covariance``: also keep the (dim, dim) sum that the pinv and svd forms of `nc1` need; costs n dim^2.
    - ``dtype``: of the sums. Sums of many float32 lose digits: only change it where memory is short.

    Raises InputError on another shape, a label out of range or no whole number, and a value that is not finite.

    Source: Wu & Papyan, NeurIPS 2024. Differs from its code in: one pass where it takes two, and no matrix
    (batch, n_classes).

    >>> import numpy as np
    >>> stats = ClassStatistics(n_classes=3, dim=1)
    >>> stats.update(np.array([[0.0], [2.0]]), np.array([0, 0]))
    >>> stats.update(np.array([[5.0]]), np.array([2]))
    >>> found = stats.finish()
    >>> found.means.ravel().tolist(), found.var.tolist(), found.index.tolist(), found.global_mean.tolist()
    ([1.0, 5.0], [1.0, 0.0], [0, 2], [3.0])
    """

    def __init__(
        self,
        n_classes: int,
        dim: int,
        dtype: torch.dtype = torch.float64,
        *,
        covariance: bool = False,
        device: str | torch.device = "cpu",
    ):
        for name, value in {"n_classes": n_classes, "dim": dim}.items():
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        if dtype not in (torch.float32, torch.float64):
            raise InputError(f"dtype is {dtype}; expected torch.float64 or torch.float32")

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self.n_classes, self.dim = n_classes, dim
        # Around the origin a: sums of x - a and of |x - a|^2; then, in a second pass, of |x - mean|^2.
        self._sums, self._squares = zeros(n_classes, dim), zeros(n_classes)
        self._counts, self._seen_again = zeros(n_classes).long(), zeros(n_classes).long()
        self._origin, self._deviations = zeros(dim), zeros(n_classes)
        self._products = zeros(dim, dim) if covariance else None
        self._like: Array = self._sums

    def update(self, x: Float[Array, "b d"], y: Int[Array, "b"]) -> None:
        """Add a batch: features (b, dim) and labels (b,).

        >>> stats = ClassStatistics(2, 4)
        >>> stats.update(torch.ones(3, 4), torch.tensor([0, 1, -100]))
        >>> stats.finish().counts.tolist()
        [1, 1]
        """
        x, y = self._checked(x, y)
        if not self._counts.any() and len(y):
            # Any point near the features serves; one that is not finite is named below, before anything is kept.
            middle = x[:ORIGIN].to(self._sums).mean(0)
            self._origin = torch.where(middle.isfinite(), middle, 0)
        counts = self._counts + torch.bincount(y, minlength=self.n_classes)
        _refuse_non_finite(x)
        for block, labels in self._blocks(x, y):
            block -= self._origin
            self._sums.index_add_(0, labels, block)
            self._squares.index_add_(0, labels, _squared_lengths(block))
            if self._products is not None:
                self._products.addmm_(block.T, block)
        self._counts = counts

    def update_deviations(self, x: Float[Array, "b d"], y: Int[Array, "b"]) -> None:
        """Go over the data a second time, in any batches: variances are then sums of squared distances to the class means.

        >>> import numpy as np
        >>> stats = ClassStatistics(1, 1)
        >>> for add in (stats.update, stats.update_deviations):
        ...     add(np.array([[1e9], [1e9 + 2]]), np.array([0, 0]))
        >>> stats.finish().var.tolist()
        [1.0]
        """
        x, y = self._checked(x, y)
        _refuse_non_finite(x)
        means = self._sums / self._counts.clamp(min=1)[:, None]
        for block, labels in self._blocks(x, y):
            block -= self._origin
            block -= means.index_select(0, labels)
            self._deviations.index_add_(0, labels, _squared_lengths(block))
        self._seen_again += torch.bincount(y, minlength=self.n_classes)

    def merge(self, other: "ClassStatistics") -> None:
        """Add what another machine or process has counted of other examples, in the first pass.

        Raises InputError where its classes or dimensions differ, only one has a covariance, or one is in its second pass.

        >>> a, b = ClassStatistics(2, 1), ClassStatistics(2, 1)
        >>> a.update(torch.ones(2, 1), torch.zeros(2).long()); b.update(torch.ones(1, 1), torch.ones(1).long())
        >>> a.merge(b)
        >>> a.finish().counts.tolist()
        [2, 1]
        """
        mine, its = (self.n_classes, self.dim), (other.n_classes, other.dim)
        if mine != its or (self._products is None) != (other._products is None):
            raise InputError(
                f"other has (n_classes, dim) = {its}, covariance {other._products is not None}; "
                f"expected {mine}, {self._products is not None}"
            )
        if self._seen_again.any() or other._seen_again.any():
            raise InputError("statistics are merged after the first pass, before update_deviations")
        if not self._counts.any():
            self._origin = other._origin.to(self._sums)
        # With s the way from our origin to the other's: sums of x - a become sums of x - a + s.
        s, counts = other._origin.to(self._sums) - self._origin, other._counts.to(self._counts)
        sums = other._sums.to(self._sums)
        self._sums += sums + counts[:, None] * s
        self._squares += other._squares.to(self._sums) + 2 * sums @ s + counts * (s @ s)
        if self._products is not None and other._products is not None:
            total = torch.outer(sums.sum(0), s)
            self._products += other._products.to(self._sums) + total + total.T + counts.sum() * torch.outer(s, s)
        self._counts += counts

    def finish(self, min_count: int = 1) -> ClassMoments:
        """Return means and variances of the classes with at least ``min_count`` examples; more batches may follow.

        Tokens that occur once have variance 0 and make everything look collapsed: look at 10 beside 1.

        Raises InputError where no class has as many, or a second pass has not seen each class as often as the first.

        >>> stats = ClassStatistics(2, 1)
        >>> stats.update(torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([0, 0, 1]))
        >>> stats.finish(min_count=2).index.tolist()
        [0]
        """
        if min_count < 1:
            raise InputError(f"min_count is {min_count}; it must be at least 1")
        index = torch.nonzero(self._counts >= min_count).flatten()
        if not len(index):
            most = int(self._counts.max())
            raise InputError(f"no class has {min_count} examples; the largest of {self.n_classes} has {most}")
        counts = self._counts[index]
        shifted = self._sums[index] / counts[:, None]  # (K, d), class means minus the origin
        if self._seen_again.any():
            if not torch.equal(self._seen_again, self._counts):
                raise InputError(
                    f"the second pass has seen {int(self._seen_again.sum())} examples, the first {int(self._counts.sum())}; "
                    "both must see the same"
                )
            var = self._deviations[index] / counts
        else:
            # Rounding can end a hair below 0, and a class of one has no spread at all.
            var = (self._squares[index] / counts - shifted.square().sum(1)).clamp(min=0).where(counts > 1, 0)
        within = None
        if self._products is not None:
            n = self._counts.clamp(min=1)[:, None]
            within = (self._products - (self._sums / n).T @ self._sums) / self._counts.sum()
        means = shifted + self._origin
        found = (means, counts, var, means.mean(0), index)
        return ClassMoments(
            *(like(t, self._like) for t in found), within=None if within is None else like(within, self._like)
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything counted so far as tensors by name, ready for a safetensors file.

        >>> sorted(ClassStatistics(2, 1).state_dict())
        ['counts', 'deviations', 'origin', 'seen_again', 'squares', 'sums']
        """
        found = {name: getattr(self, f"_{name}").clone() for name in _STATE}
        return found if self._products is None else {**found, "products": self._products.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` returned. Raises InputError where names or shapes do not fit.

        >>> a, b = ClassStatistics(2, 1), ClassStatistics(2, 1)
        >>> a.update(torch.ones(2, 1), torch.zeros(2).long())
        >>> b.load_state_dict(a.state_dict())
        >>> b.finish().counts.tolist()
        [2]
        """
        mine = self.state_dict()
        wanted, came = ({k: tuple(v.shape) for k, v in s.items()} for s in (mine, state))
        if wanted != came:
            raise InputError(f"the state has {came}; expected {wanted}")
        for name, value in state.items():
            setattr(self, f"_{name}", value.to(mine[name], copy=True))

    def _checked(self, x: Array, y: Array) -> tuple[Tensor, Tensor]:
        self._like = x
        # Not by `tensor`: its look at each value takes longer than all of the rest, see `_refuse_non_finite`.
        features, labels = (v if isinstance(v, Tensor) else _from_numpy(v, name) for v, name in ((x, "x"), (y, "y")))
        if features.ndim != 2 or features.shape[1] != self.dim or features.is_complex():
            raise InputError(
                f"x has shape {tuple(features.shape)} of {features.dtype}; expected (b, {self.dim}) real numbers"
            )
        if labels.shape != features.shape[:1] or labels.is_floating_point() or labels.is_complex():
            raise InputError(
                f"y has shape {tuple(labels.shape)} of {labels.dtype}; expected {len(features)} whole numbers, one for each row"
            )
        features, labels = features.detach(), labels.to(self._sums.device, torch.long)
        kept = labels != IGNORED
        if not kept.all():
            features, labels = features[kept.to(features.device)], labels[kept]
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.n_classes:
            wrong = int(labels.min()) if labels.min() < 0 else int(labels.max())
            raise InputError(
                f"y holds the label {wrong}; expected 0 to {self.n_classes - 1}, or {IGNORED} to leave out"
            )
        return features, labels

    def _blocks(self, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (block, labels) in the sums' type; the block is the same memory each time, to be written into."""
        rows = max(1, BLOCK.get(self._sums.device.type, 1 << 22) // self.dim)
        buffer = self._sums.new_empty(min(rows, len(x)), self.dim)
        for start in range(0, len(x), rows):
            part = x[start : start + rows]
            yield buffer[: len(part)].copy_(part), y[start : start + rows]


_STATE = ("sums", "squares", "counts", "origin", "deviations", "seen_again")


def _squared_lengths(rows: Tensor) -> Tensor:
    # Unlike a sum of squares, it makes no second block.
    return torch.linalg.vector_norm(rows, dim=1).square_()


def _refuse_non_finite(x: Tensor) -> None:
    """Refuse a batch with a value that is not finite. Its sum tells at the speed of reading; only then is each looked at."""
    if torch.isfinite(x.sum(dtype=torch.float64) if x.dtype not in (torch.float32, torch.float64) else x.sum()):
        return
    finite = torch.isfinite(x).all(1)
    if not finite.all():
        raise InputError(f"x holds a value that is not finite, first in row {int(finite.int().argmin())}")
