"""Partners for units, from a matrix of their correlations: the best for each, or one each."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor


@dataclass(frozen=True)
class MatchSummary:
    """How well the units of one network match those of another.

    **Fields:** ``greedy``: mean over units of the best correlation; ``matching``: mean correlation of the one-to-one pairs;
    ``overlap``: share of the paired units whose partner is also the best one; ``best``, ``worst``: the highest and the
    lowest of the best correlations.
    """

    greedy: float
    matching: float
    overlap: float
    best: float
    worst: float


def semi_match(
    c: Float[Array, "d_a d_b"], *, forbid_diagonal: bool = False
) -> tuple[Int[Array, "d_a"], Float[Array, "d_a"]]:
    """Return for each row its best column and the value there; several rows may share a column.

    **Arguments:** ``c``: correlations, or any similarity, higher is better and the sign counts; ``forbid_diagonal``: no
    unit with itself, for the units of one network among each other.

    Raises InputError on a value that is not finite, and with ``forbid_diagonal`` on a matrix that is not square or 1 x 1.

    Source: Li et al., ICLR 2016, section 3.1 (bipartite semi-matching).

    >>> index, value = semi_match(np.array([[0.9, 0.8], [0.85, 0.1]]))
    >>> index.tolist(), value.tolist()
    ([0, 0], [0.9, 0.85])
    """
    value, index = _allowed(c, forbid_diagonal).max(1)
    return like(index, c), like(value, c)


def bipartite_match(
    c: Float[Array, "d_a d_b"], *, forbid_diagonal: bool = False
) -> tuple[Int[Array, "d_a"], Float[Array, "d_a"]]:
    """Return for each row the column of its partner, one to one, so that the sum of the values is the highest possible.

    All of the smaller side get a partner, also where their correlation is negative. Where there are more rows than columns,
    a row without a partner has index -1 and value 0.

    **Arguments**, errors: as `semi_match`. The assignment is scipy's ``linear_sum_assignment``, on the CPU.

    Source: Li et al., ICLR 2016, section 3.1 (maximum-weight bipartite matching).

    >>> index, value = bipartite_match(np.array([[0.9, 0.8], [0.85, 0.1]]))
    >>> index.tolist(), value.tolist()
    ([1, 0], [0.8, 0.85])
    """
    from scipy.optimize import linear_sum_assignment

    values = _allowed(c, forbid_diagonal)
    rows, columns = (torch.from_numpy(i).to(values.device) for i in linear_sum_assignment(values.cpu(), maximize=True))
    index = torch.full((len(values),), -1, dtype=torch.int64, device=values.device)
    index[rows] = columns
    value = torch.zeros_like(values[:, 0])
    value[rows] = values[rows, columns]
    return like(index, c), like(value, c)


def match_summary(c: Float[Array, "d_a d_b"]) -> MatchSummary:
    """Return how well the rows match the columns, each for itself and one to one.

    ``matching`` and ``overlap`` are over the units that have a partner. With at least as many columns as rows,
    ``matching`` is at most ``greedy``, and equal exactly where no two rows have the same best column.

    **Arguments:** ``c``: correlations of living units (see `UnitStatistics.drop_dead`: dead ones would count with 0).

    Raises InputError on a value that is not finite.

    Source: Li et al., ICLR 2016, section 3.1 and figure 4.

    >>> match_summary(np.array([[0.9, 0.8], [0.85, 0.1]]))
    MatchSummary(greedy=0.875, matching=0.825, overlap=0.5, best=0.9, worst=0.85)
    """
    values = tensor(c, "c")
    _, best = semi_match(values)
    index, matched = bipartite_match(values)
    paired = index >= 0
    return MatchSummary(
        float(best.mean()),
        float(matched[paired].mean()),
        float((matched == best)[paired].double().mean()),
        float(best.max()),
        float(best.min()),
    )


def permutation_cycles(order: Int[Array, "d"]) -> tuple[Int[np.ndarray, "d"], Int[np.ndarray, "cycles"]]:
    """Return the units cycle by cycle, and the length of each cycle, of a matching i -> order[i] within one set of units.

    A cycle begins at its lowest unit, and cycles come in the order of these. Rows and columns sorted so show who pairs
    with whom as blocks along the diagonal.

    Raises InputError where ``order`` is not a permutation of 0..d-1.

    >>> cycles, lengths = permutation_cycles(np.array([1, 0, 3, 4, 2]))
    >>> cycles.tolist(), lengths.tolist()
    ([0, 1, 2, 3, 4], [2, 3])
    """
    values = tensor(order, "order", dims=1)
    following = values.long().tolist()
    if not torch.equal(values.sort().values, torch.arange(len(values), device=values.device).double()):
        raise InputError(f"order is no permutation of 0..{len(following) - 1}")
    seen, cycles, lengths = [False] * len(following), [], []
    for start in range(len(following)):
        before, unit = len(cycles), start
        while not seen[unit]:
            seen[unit] = True
            cycles.append(unit)
            unit = following[unit]
        if len(cycles) > before:
            lengths.append(len(cycles) - before)
    return np.array(cycles), np.array(lengths)


def _allowed(c: Array, forbid_diagonal: bool) -> Tensor:
    values = tensor(c, "c")
    if not forbid_diagonal:
        return values
    if len(values) != values.shape[1] or len(values) < 2:
        raise InputError(
            f"c has shape {tuple(values.shape)}; without its diagonal it must be square and at least 2 x 2"
        )
    values = values.clone()
    # An assignment never takes -inf where it can do without, and here it always can.
    values.fill_diagonal_(-torch.inf)
    return values
