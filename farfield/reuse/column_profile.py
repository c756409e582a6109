"""By what a model's embeddings are told from another model's: the mean and deviation of each column."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import tensor

ROWS = 2000
# Unrelated models correlate by about 1 / sqrt(d). Other data of one model did by 0.5 at least (sentences on one narrow
# matter against all
# others, MNIST by one digit against another).
LEAST = 0.35
FEWEST_COLUMNS = 32


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """Means and standard deviations (d,) of the columns of embeddings, float64.

    Columns of a network have no common order: the one that is large in one network is another in the next, even of one
    architecture and data. So where the columns' means (or deviations) of new rows do not correlate with those known,
    the rows
    are another model's. Nothing is said where the columns are all alike (whitened, or rotated at random), below 32
    columns,
    and below 20 rows.

    >>> rows = torch.arange(40.0).reshape(10, 4)
    >>> ColumnProfile.of(rows).mean.tolist()
    [18.0, 19.0, 20.0, 21.0]
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, rows: Float[Tensor, "n d"]) -> ColumnProfile:
        """Return the profile of up to 2,000 rows, evenly spread over all."""
        some = tensor(spread(rows), "rows")
        return cls(some.mean(0), some.std(0, correction=0))

    def agreement(self, rows: Float[Tensor, "n d"]) -> float | None:
        """Return how alike new rows are, the larger correlation of means and of deviations; None where nothing can be
        said."""
        some = spread(rows).double()
        # What is not finite is named by whoever reads every row.
        some = some[torch.isfinite(some).all(1)]
        if len(some) < 20 or some.shape[1] < FEWEST_COLUMNS:
            return None
        # Two halves of the new rows: what they do not share tells nothing.
        halves = ColumnProfile.of(some[0::2]), ColumnProfile.of(some[1::2])
        found = []
        for name in ("mean", "std"):
            known, first, second = (getattr(p, name) for p in (self, *halves))
            both = _correlation(first, second)
            if both is not None and both > 0.8:
                seen = _correlation(known, (first + second) / 2)
                if seen is not None:
                    found.append(seen)
        return max(found) if found else None

    def check(self, rows: Tensor, name: str) -> None:
        """Refuse rows that are another model's. Raises InputError that says by what."""
        found = self.agreement(rows)
        if found is not None and found < LEAST:
            raise InputError(
                f"the columns of {name} do not behave like those that the adapter was made for (correlation {found:.2f}): they "
                "are of another model; if they are not, say so by naming the model in both"
            )


def spread(rows: Tensor, most: int = ROWS) -> Tensor:
    """Return up to so many rows, evenly spread, in memory.

    >>> spread(torch.arange(5.0)[:, None], 2).flatten().tolist()
    [0.0, 4.0]
    """
    if len(rows) <= most:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, most, dtype=torch.float64).long()]


def _correlation(a: Tensor, b: Tensor) -> float | None:
    a, b = a - a.mean(), b - b.mean()
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size > 1e-12 * (1 + float(a.abs().sum())) else None
