"""Mean, variance and coefficient of variation of many numbers, gathered part by part without losing digits."""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Spread:
    """``mean``, population variance ``var``, and ``cv``: standard deviation over |mean|, which has no scale.

    ``cv`` is 0 where all numbers are the same, else inf where their mean is 0. Where one of the numbers is infinite, all
    three are (with the mean's sign).

    >>> Spread(mean=2.0, var=1.0, cv=0.5).cv
    0.5
    """

    mean: float
    var: float
    cv: float

    @classmethod
    def of(cls, values: Tensor) -> "Spread":
        """Return the spread of at least one number.

        >>> import torch
        >>> Spread.of(torch.tensor([1.0, 3.0]))
        Spread(mean=2.0, var=1.0, cv=0.5)
        """
        gathered = Gather()
        gathered.add(values)
        return gathered.spread()


class Gather:
    """Gathers numbers part by part (Chan, Golub, LeVeque: parts are joined by their means and squared deviations)."""

    def __init__(self) -> None:
        self.n, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, values: Tensor) -> None:
        """Add a part."""
        n, mean = values.numel(), float(values.mean())
        # Infinities would leave NaN behind in every difference.
        squares = float((values - mean).square().sum()) if math.isfinite(mean) else math.inf
        total = self.n + n
        if math.isfinite(mean) and math.isfinite(self.mean):
            gap = mean - self.mean
            self.squares += squares + gap * gap * self.n * n / total
            self.mean += gap * n / total
        else:
            self.mean, self.squares = (mean if not math.isfinite(mean) else self.mean), math.inf
        self.n = total

    def spread(self) -> Spread:
        """Return the spread of all parts."""
        var = self.squares / self.n
        if var == 0:
            return Spread(self.mean, 0.0, 0.0)
        finite = math.isfinite(var) and self.mean != 0
        return Spread(self.mean, var, math.sqrt(var) / abs(self.mean) if finite else math.inf)
