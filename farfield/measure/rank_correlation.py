"""Whether two numbers rise and fall together over models, however few: Spearman's correlation with an exact null."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farfield.errors import InputError


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation ``value`` over ``n`` models, and the two-sided ``p`` value of a permutation test.

    >>> RankCorrelation(value=0.9, p=0.01, n=8).n
    8
    """

    value: float
    p: float
    n: int


def rank_correlation(
    x: Sequence[float], y: Sequence[float], *, permutations: int = 9999, seed: int = 0
) -> RankCorrelation:
    """Return how two numbers of the same models go together by rank, -1 to 1, and how often chance alone does as well.

    ``p = (1 + number of random pairings with |rho| at least as large) / (1 + permutations)``, which is valid for any n; ties
    share their mean rank. Over models of many sizes almost everything goes together: look also at models of one size that
    differ only in their seed.

    **Arguments:** ``x``, ``y``: a finite number for each of n models, n at least 3; ``permutations``: random pairings, at least 1.

    Raises InputError where the lengths differ, a number is not finite, or all of one are equal, which leaves no order.

    Source: Wu & Papyan, NeurIPS 2024 (permutation test over twenty seeds of one architecture).

    >>> found = rank_correlation([1, 2, 3, 4, 5, 6], [1, 4, 9, 16, 25, 36])
    >>> round(found.value, 6), found.p < 0.01
    (1.0, True)
    """
    from scipy.stats import rankdata

    arrays = {"x": np.asarray(x, dtype=np.float64), "y": np.asarray(y, dtype=np.float64)}
    if arrays["x"].shape != arrays["y"].shape:
        raise InputError(f"x has shape {arrays['x'].shape} but y has {arrays['y'].shape}; they must be the same models")
    if permutations < 1:
        raise InputError(f"permutations is {permutations}; it must be at least 1")
    ranks = []
    for name, values in arrays.items():
        if values.ndim != 1 or len(values) < 3 or not np.isfinite(values).all():
            raise InputError(f"{name} has shape {values.shape}; expected at least 3 finite numbers in a row")
        if (values == values[0]).all():
            raise InputError(f"all values of {name} are {values[0]:g}; they have no order")
        centred = rankdata(values) - (len(values) + 1) / 2
        ranks.append(centred / np.linalg.norm(centred))
    value = float(np.clip(ranks[0] @ ranks[1], -1, 1))
    rng, as_large, left = np.random.default_rng(seed), 0, permutations
    while left:
        # At most a million numbers at a time.
        rows = min(left, max(1, 1_000_000 // len(ranks[1])))
        drawn = rng.permuted(np.tile(ranks[1], (rows, 1)), axis=1) @ ranks[0]
        # Equal correlations can differ by rounding.
        as_large += int((np.abs(drawn) >= abs(value) - 1e-12).sum())
        left -= rows
    return RankCorrelation(value, (1 + as_large) / (1 + permutations), len(ranks[0]))
