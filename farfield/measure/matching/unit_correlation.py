"""Correlations between the units of two networks, in one pass over data of any size."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor

# Samples converted, centred and multiplied at a time: on a CPU few enough to stay in its cache from one to the next (256 of
# 1,024 units are 2 MiB), on an accelerator enough to keep it busy.
CHUNK, ACCELERATOR_CHUNK = 256, 65_536


@dataclass(frozen=True)
class UnitStatistics:
    """Moments of the units of two networks over the same samples.

    **Fields:** ``mean_a``, ``std_a`` (d_a,), ``mean_b``, ``std_b`` (d_b,), with n in the denominator; ``between`` (d_a, d_b),
    Pearson correlations, rows are units of the first network; ``within_a`` (d_a, d_a) and ``within_b`` (d_b, d_b), None where
    they were not asked for; ``alive_a``, ``alive_b``: False where a unit is dead, that is constant; ``n`` samples.

    A dead unit has correlation 0 with everything, itself included.
    """

    mean_a: Float[Array, "d_a"]
    std_a: Float[Array, "d_a"]
    mean_b: Float[Array, "d_b"]
    std_b: Float[Array, "d_b"]
    within_a: Float[Array, "d_a d_a"] | None
    within_b: Float[Array, "d_b d_b"] | None
    between: Float[Array, "d_a d_b"]
    alive_a: Bool[Array, "d_a"]
    alive_b: Bool[Array, "d_b"]
    n: int

    def drop_dead(self) -> "UnitStatistics":
        """Return the same without dead units. Raises InputError where no unit of one network is alive.

        >>> a = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
        >>> UnitCorrelation(2, 1).update(a, a[:, 1:]).result().drop_dead().between
        tensor([[1.]], dtype=torch.float64)
        """
        a, b = self.alive_a, self.alive_b
        for name, alive in (("first", a), ("second", b)):
            if not bool(alive.any()):
                raise InputError(f"all {len(alive)} units of the {name} network are constant; none is left to compare")
        return replace(
            self,
            mean_a=self.mean_a[a],
            std_a=self.std_a[a],
            mean_b=self.mean_b[b],
            std_b=self.std_b[b],
            within_a=None if self.within_a is None else self.within_a[a][:, a],
            within_b=None if self.within_b is None else self.within_b[b][:, b],
            between=self.between[a][:, b],
            alive_a=a[a],
            alive_b=b[b],
        )


class UnitCorrelation:
    """Accumulates means, standard deviations and correlations of the units of two networks, batch by batch.

    A unit is a column of (n, d) rows, or a channel of (n, d, h, w) maps: then every position of every image is a sample,
    and a position of one network goes with the same position of the other. Tokens and graph nodes come as rows, one each.
    Correlations are signed. Everything is float64 and merged chunk by chunk around each chunk's own mean (Chan et al., 1983), so
    large means cost no digits. Memory does not grow with the data.

    **Arguments:**
    - ``n_units_a``, ``n_units_b``: d_a and d_b, which may differ.
    - ``within``: also correlate the units of each network with each other, which takes two more matrix products.
    - ``crop_border``: positions to leave off at each side of a map. Zero padding makes the border alike in all networks.
    - ``dead_below``: standard deviation under which a unit counts as dead, at least 0. One whose spread is below rounding (1e-12
      of its mean) is dead in any case.

    Raises InputError on numbers of units below 1, and in `update` and `result` on what is said there.

    Source: Li et al., ICLR 2016, section 2.

    >>> a = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    >>> found = UnitCorrelation(2, 2).update(a[:2], a[:2].flip(1)).update(a[2:], a[2:].flip(1)).result()
    >>> found.between.round(decimals=6).tolist()
    [[0.5, 1.0], [1.0, 0.5]]
    """

    def __init__(
        self, n_units_a: int, n_units_b: int, *, within: bool = True, crop_border: int = 0, dead_below: float = 1e-8
    ):
        for name, value, least in (
            ("n_units_a", n_units_a, 1),
            ("n_units_b", n_units_b, 1),
            ("crop_border", crop_border, 0),
        ):
            if value < least:
                raise InputError(f"{name} is {value}; it must be at least {least}")
        if not dead_below >= 0:
            raise InputError(f"dead_below is {dead_below}; it must be at least 0")
        self._units = (n_units_a, n_units_b)
        self._within, self._crop, self._dead_below = within, crop_border, dead_below
        self._n = 0
        self._moments: list[Tensor] = []
        self._given: Array | None = None

    def update(self, a: Float[Array, "n d_a *position"], b: Float[Array, "n d_b *position"]) -> "UnitCorrelation":
        """Take in one batch, (n, d) or (n, d, h, w) each, and return itself.

        Raises InputError where shapes, positions, devices or numbers of units do not fit, or a value is not finite.
        """
        x, y = (tensor(values, name, dims=None, dtype=None) for values, name in ((a, "a"), (b, "b")))
        same_rows(a=x, b=y)
        for name, values, units in (("a", x, self._units[0]), ("b", y, self._units[1])):
            if values.ndim not in (2, 4):
                raise InputError(f"{name} has shape {tuple(values.shape)}; expected (n, d) or (n, d, h, w)")
            if values.shape[1] != units:
                raise InputError(f"{name} has {values.shape[1]} units; expected {units}")
        if x.shape[2:] != y.shape[2:]:
            raise InputError(
                f"a has positions {tuple(x.shape[2:])} but b has {tuple(y.shape[2:])}; they must be the same"
            )
        if x.device != y.device or (self._moments and self._moments[0].device != x.device):
            raise InputError(f"a lies on {x.device} and b on {y.device}; all batches must lie on one device")
        if x.ndim == 4 and self._crop:
            if 2 * self._crop >= min(x.shape[2:]):
                raise InputError(f"crop_border is {self._crop}, which leaves nothing of maps {tuple(x.shape[2:])}")
            inside = (..., *[slice(self._crop, -self._crop)] * 2)
            x, y = x[inside], y[inside]
        if not self._moments:
            d_a, d_b = self._units
            shapes = [(d_a,), (d_b,), (d_a, d_b), *([(d_a, d_a), (d_b, d_b)] if self._within else [(d_a,), (d_b,)])]
            self._moments = [torch.zeros(shape, dtype=torch.float64, device=x.device) for shape in shapes]
            # Only its kind: keeping the batch itself would keep its memory.
            self._given = torch.empty(0) if isinstance(a, Tensor) else np.empty(0)
        size = -(-(CHUNK if x.device.type == "cpu" else ACCELERATOR_CHUNK) // x[0, 0].numel())
        for rows in zip(x.split(size), y.split(size)):
            self._merge(*(r.movedim(1, -1).reshape(-1, r.shape[1]).to(torch.float64) for r in rows))
        return self

    def result(self) -> UnitStatistics:
        """Return the statistics of all batches so far, as arrays of the kind that came.

        Raises InputError where fewer than two samples came.
        """
        if self._n < 2:
            raise InputError(f"{self._n} samples came; a correlation needs at least 2")
        given = self._given
        mean_a, mean_b, between, own_a, own_b = self._moments
        sums = [own.diagonal() if self._within else own for own in (own_a, own_b)]
        std_a, std_b = ((s.clamp(min=0) / self._n).sqrt() for s in sums)
        alive_a, alive_b = (
            (std >= self._dead_below) & (std > 1e-12 * mean.abs()) for std, mean in ((std_a, mean_a), (std_b, mean_b))
        )
        scale_a, scale_b = (torch.where(alive, 1 / std, 0) for alive, std in ((alive_a, std_a), (alive_b, std_b)))

        def correlation(product: Tensor, rows: Tensor, columns: Tensor) -> Array:
            return like((product / self._n * rows[:, None] * columns).clamp(-1, 1), given)

        return UnitStatistics(
            like(mean_a.clone(), given),
            like(std_a, given),
            like(mean_b.clone(), given),
            like(std_b, given),
            correlation(own_a, scale_a, scale_a) if self._within else None,
            correlation(own_b, scale_b, scale_b) if self._within else None,
            correlation(between, scale_a, scale_b),
            like(alive_a, given),
            like(alive_b, given),
            self._n,
        )

    def _merge(self, x: Tensor, y: Tensor) -> None:
        """Add one chunk of samples: its centred products, and what the distance of its mean to the mean so far adds."""
        mean_a, mean_b, between, own_a, own_b = self._moments
        n, before = len(x), self._n
        self._n += n
        chunk_a, chunk_b = x.mean(0), y.mean(0)
        x, y = x - chunk_a, y - chunk_b
        off_a, off_b = chunk_a - mean_a, chunk_b - mean_b
        weight = before * n / self._n
        between.addmm_(x.T, y).addr_(off_a, off_b, alpha=weight)
        for values, off, own in ((x, off_a, own_a), (y, off_b, own_b)):
            if self._within:
                own.addmm_(values.T, values).addr_(off, off, alpha=weight)
            else:
                own.add_(torch.einsum("nd,nd->d", values, values)).add_(off.square(), alpha=weight)
        mean_a.add_(off_a, alpha=n / self._n)
        mean_b.add_(off_b, alpha=n / self._n)
