"""Mutual information between units, from histograms with a bin for the exact zeros of rectified units."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor

Units = Literal["nats", "bits"]
# Counts of joint cells held at a time, and samples taken in at a time.
CELLS, CHUNK = 2**23, 4096


def mutual_information(
    x: Float[Array, "n"], y: Float[Array, "n"], bins: int = 10, *, units: Units = "nats", correct: bool = True
) -> float:
    """Return the mutual information of two units, estimated from a histogram of ``bins`` by ``bins`` cells.

    The edges are percentiles of each unit: its first bin holds the exact zeros (with no zeros it is empty), the others equal
    shares of the rest. So it stays the same under an increasing map of either unit that keeps zero at zero.
    The plug-in estimate is too high by about ``(B_xy - B_x - B_y + 1) / 2n`` nats, with B the numbers of occupied
    cells and bins; ``correct`` takes that off (Miller, 1955), so it can come out slightly below 0. A constant unit has 0.

    **Arguments:** ``x``, ``y``: the same n samples, at least 2; ``bins``: at least 2.

    Raises InputError on other shapes, lengths that differ, a value that is not finite, or bins or units out of range.

    Source: Li et al., ICLR 2016, section 3.2. Differs from the official code in: its correction is in bits and taken off a
    value in nats.

    >>> x = torch.cat([torch.zeros(100), torch.arange(1.0, 901.0)])
    >>> round(mutual_information(x, x**2, correct=False), 3)  # ten bins of nearly 100 each: ln 10
    2.303
    """
    _check(bins, units)
    x, y = tensor(x, "x", dims=1, rows=2), tensor(y, "y", dims=1, rows=2)
    same_rows(x=x, y=y)
    return float(_matrix(x[:, None], y[:, None], bins, units, correct))


def unit_mutual_information(
    a: Float[Array, "n d_a"], b: Float[Array, "n d_b"], bins: int = 10, *, units: Units = "nats", correct: bool = True
) -> Float[Array, "d_a d_b"]:
    """Return the mutual information of every unit of one network with every unit of another, see `mutual_information`.

    All pairs at once, by matrix products of bin memberships; memory beyond a bin number per activation is bounded.

    **Arguments:** ``a``, ``b``: activations, rows are the same samples, at least 2. Errors: as `mutual_information`.

    >>> a = torch.arange(100.0).remainder(10)[:, None]
    >>> unit_mutual_information(a, torch.hstack([a.square(), torch.ones(100, 1)]), correct=False).round(decimals=3).tolist()
    [[2.303, 0.0]]
    """
    _check(bins, units)
    x, y = tensor(a, "a", rows=2, dtype=None), tensor(b, "b", rows=2, dtype=None)
    same_rows(a=x, b=y)
    return like(_matrix(x, y, bins, units, correct), a)


def percentile_edges(columns: Float[Tensor, "d n"], bins: int) -> Float[Tensor, "d bins+1"]:
    """Return the edges of each row's bins: its minimum less 0.01, then percentiles from 100.1 times its share of zeros to 100.

    >>> percentile_edges(torch.tensor([[0.0, 0.0, 1.0, 2.0, 3.0]]), 2)
    tensor([[-0.0100,  0.6016,  3.0000]])
    """
    ordered = columns.sort(1).values
    last = columns.shape[1] - 1
    first = (1.001 * (columns == 0).double().mean(1)).clamp(max=1)
    share = torch.linspace(0, 1, bins, dtype=torch.float64, device=columns.device)
    at = last * (first[:, None] + (1 - first[:, None]) * share)
    # On a sample rather than a rounding error beside it: the sample would otherwise change its bin.
    at = torch.where((at - at.round()).abs() < 1e-9 * max(1, last), at.round(), at)
    below = at.floor().long()
    low, high = ordered.gather(1, below), ordered.gather(1, (below + 1).clamp(max=last))
    edges = torch.lerp(low, high, (at - below).to(ordered.dtype))
    return torch.cat([ordered[:, :1] - 0.01, edges], 1)


def _check(bins: int, units: str) -> None:
    if bins < 2:
        raise InputError(f"bins is {bins}; it must be at least 2")
    if units not in ("nats", "bits"):
        raise InputError(f"units is {units!r}; expected nats or bits")


def _matrix(a: Tensor, b: Tensor, bins: int, units: Units, correct: bool) -> Tensor:
    in_a, in_b = _bins(a, bins), _bins(b, bins)
    n, d_b = in_b.shape
    each = max(1, CELLS // (bins * bins * d_b))
    found = torch.cat([_between(block, in_b, bins, n, correct) for block in in_a.split(each, dim=1)])
    return found / math.log(2) if units == "bits" else found


def _bins(values: Tensor, bins: int) -> Tensor:
    """Return the bin of every activation (n, d), 0..bins-1, as ``numpy.histogram`` counts: the last edge is inside."""
    columns = values.T.contiguous()
    edges = percentile_edges(columns, bins).contiguous()
    return torch.searchsorted(edges, columns, right=True).sub_(1).clamp_(0, bins - 1).to(torch.uint8).T.contiguous()


def _between(in_a: Tensor, in_b: Tensor, bins: int, n: int, correct: bool) -> Tensor:
    d_a, d_b = in_a.shape[1], in_b.shape[1]
    counts = torch.zeros(d_a * bins, d_b * bins, dtype=torch.float64, device=in_a.device)
    for rows_a, rows_b in zip(in_a.split(CHUNK), in_b.split(CHUNK)):
        counts += _members(rows_a, bins).T @ _members(rows_b, bins)
    joint = counts.view(d_a, bins, d_b, bins).transpose(1, 2)  # (d_a, d_b, bins, bins)
    of_a, of_b = joint.sum(3), joint.sum(2)
    found = (
        _x_log_x(of_a.new_tensor(n)) + _x_log_x(joint).sum((2, 3)) - _x_log_x(of_a).sum(2) - _x_log_x(of_b).sum(2)
    ) / n
    if correct:
        occupied = (joint > 0).sum((2, 3)) - (of_a > 0).sum(2) - (of_b > 0).sum(2) + 1
        found = found - occupied.double() / (2 * n)
    return found


def _members(rows: Tensor, bins: int) -> Tensor:
    # float32 counts of at most CHUNK ones are exact.
    return (rows[:, :, None] == torch.arange(bins, device=rows.device)).flatten(1).float()


def _x_log_x(x: Tensor) -> Tensor:
    return torch.special.xlogy(x, x)
