"""NC1: how small the spread within classes is, compared with the distance between them."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor
from farfield.measure.collapse._classes import centred, flat, pairs

# The histogram behind the median: 1,024 bins for each doubling, from 2^-128 to 2^128.
_OCTAVES, _BINS = 128, 1024


def cdnv(
    var: Float[Array, "K"],
    means: Float[Array, "K d"],
    exponent: float = 1,
    tile: int = 1024,
    *,
    average: Literal["mean", "median"] = "mean",
) -> float:
    """Return the class-distance normalized variance, over all pairs of classes: 0 where classes are points.

    ``(var_c + var_c') / (2 |mean_c - mean_c'|^(2 exponent))``. Two classes whose means coincide make the mean inf. With
    ``exponent`` 2 a few near pairs decide the mean: look at the median too. Values of different exponents are not comparable,
    and only with exponent 1 does the scale of the features not matter.

    **Arguments:**
    - ``var``: mean squared distance to the class mean, at least 0; ``means``: of at least 2 classes.
    - ``exponent``: on the squared distance, above 0. 1: Galanti et al., ICLR 2022; 2: as Wu & Papyan, NeurIPS 2024, report.
    - ``tile``: classes at a time; memory is tile^2, time K^2 d.
    - ``average``: over pairs; the median is exact to 0.1 %, from a histogram.

    Raises InputError on an argument out of range or shapes that do not match.

    >>> means = torch.eye(4) - 1 / 4
    >>> cdnv(torch.full((4,), 0.5), means), cdnv(torch.full((4,), 0.5), means, exponent=2)
    (0.25, 0.125)
    """
    if average not in ("mean", "median"):
        raise InputError(f"average is {average!r}; expected 'mean' or 'median'")
    found = cdnv_averages(var, means, (exponent,), tile, median=average == "median")[exponent]
    return found[average == "median"]


def cdnv_averages(
    var: Array, means: Array, exponents: tuple[float, ...], tile: int = 1024, *, median: bool = True
) -> dict[float, tuple[float, float]]:
    """Return (mean, median) by exponent, from one pass over the pairs; the median is NaN where it was not asked for."""
    v, m = tensor(var, "var", dims=1, rows=2), centred(means, None)
    same_rows(var=v, means=m)
    if (v < 0).any():
        raise InputError(f"var holds {float(v.min()):g}; a variance is at least 0")
    for e in exponents:
        if not (e > 0 and math.isfinite(e)):
            raise InputError(f"exponent is {e}; it must be above 0 and finite")
    v = v.to(m.device)
    sums = dict.fromkeys(exponents, 0.0)
    bins = {e: torch.zeros(2 * _OCTAVES * _BINS, dtype=torch.long, device=m.device) for e in exponents}
    for rows, columns, squared, keep in pairs(m, tile):
        half, squared = flat((v[rows, None] + v[columns]) / 2, keep), flat(squared, keep)
        # Classes that lie on one point cannot be told apart, however narrow they are.
        same = squared <= 0
        if median:
            log_half, log_squared = half.log2(), squared.log2()
        for e in exponents:
            ratio = half / (squared if e == 1 else squared**e)
            sums[e] += float(ratio.masked_fill_(same, math.inf).sum())
            if median:
                logs = torch.sub(log_half, log_squared, alpha=e).masked_fill_(same, math.inf)
                at = logs.add_(_OCTAVES).mul_(_BINS).clamp_(0, len(bins[e]) - 1).long()
                bins[e] += torch.bincount(at, minlength=len(bins[e]))
    n = len(m) * (len(m) - 1) // 2
    return {e: (sums[e] / n, _middle(bins[e], n) if median else math.nan) for e in exponents}


def _middle(bins: Tensor, n: int) -> float:
    """Return the median of a histogram: the middle of the bin (or the two) that holds the middle number."""
    up_to = bins.cumsum(0)
    at = torch.searchsorted(up_to, torch.tensor([(n + 1) // 2, n // 2 + 1], device=bins.device))
    values = [2 ** ((float(i) + 0.5) / _BINS - _OCTAVES) for i in at]
    last = len(bins) - 1
    values = [0.0 if i == 0 else math.inf if i == last else v for i, v in zip(at.tolist(), values)]
    return sum(values) / 2


def nc1(
    within: Float[Array, "d d"] | float,
    means: Float[Array, "K d"],
    global_mean: Float[Array, "d"],
    kind: Literal["pinv", "svd", "trace"] = "pinv",
) -> float:
    """Return the covariance within classes over that between them, as one number: 0 where classes are points.

    - ``"pinv"``: ``tr(S_W pinv(S_B)) / K`` (Papyan et al., PNAS 2020), directions in which the means do not differ left out.
    - ``"svd"``: the same with exactly the first K - 1 (at most d) directions; inf where the means span fewer.
    - ``"trace"``: ``tr S_W / tr S_B``, which needs no inverse.

    **Arguments:**
    - ``within``: S_W, the covariance of the deviations from class means, pooled over examples; for ``"trace"`` its trace alone
      will do (`ClassMoments.within_trace`).
    - ``means``, ``global_mean``: ``S_B = (1/K) sum (mean_c - global_mean)(...)^T``. The inverses say little for K > d.

    Raises InputError on another kind or shape, and where all class means are the same.

    >>> means = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> [nc1(0.5 * torch.eye(2), means, torch.zeros(2), kind) for kind in ("pinv", "svd", "trace")]
    [0.25, 0.25, 1.0]
    """
    if kind not in ("pinv", "svd", "trace"):
        raise InputError(f"kind is {kind!r}; expected 'pinv', 'svd' or 'trace'")
    m = centred(means, global_mean)
    between = float(m.square().sum() / len(m))
    if not between > 0:
        raise InputError("all class means are the same, so nothing is between the classes")
    if isinstance(within, int | float):
        if kind != "trace":
            raise InputError(f"within is a number; kind {kind!r} needs the ({m.shape[1]}, {m.shape[1]}) covariance")
        return within / between
    s = tensor(within, "within").to(m.device)
    if s.shape != (m.shape[1], m.shape[1]):
        raise InputError(f"within has shape {tuple(s.shape)}; expected ({m.shape[1]}, {m.shape[1]})")
    if kind == "trace":
        return float(s.trace()) / between
    _, singular, right = torch.linalg.svd(m / len(m) ** 0.5, full_matrices=False)
    spread = torch.linalg.vecdot(right @ s, right)  # variance within classes along each direction between them
    along = singular.square()
    null = along <= along[0] * max(m.shape) * torch.finfo(m.dtype).eps
    if kind == "svd":
        first = min(len(m) - 1, m.shape[1])
        spread, along = spread[:first], along.where(~null, 0)[:first]
        return math.inf if (along == 0).any() else float((spread / along).sum()) / len(m)
    return float((spread / along)[~null].sum()) / len(m)
