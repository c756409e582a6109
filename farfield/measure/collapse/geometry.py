"""NC2: how equal the class means are in length, and how evenly they lie around their middle."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array
from farfield.measure.collapse._classes import centred, directions, flat, pairs
from farfield.measure.collapse.spread import Gather, Spread


@dataclass(frozen=True)
class Equinorm:
    """Lengths of the centred class means: ``norms`` as they are, ``logs`` their natural logarithms, each as a `Spread`.

    >>> Equinorm(norms=Spread(2.0, 1.0, 0.5), logs=Spread(0.5, 0.3, 1.1)).norms.cv
    0.5
    """

    norms: Spread
    logs: Spread


def equinorm(means: Float[Array, "K d"], global_mean: Float[Array, "d"] | None = None) -> Equinorm:
    """Return how equal in length the centred class means are: all variances are 0 where they are equinorm.

    ``norms.cv`` has no scale, so it can be compared between models. A class mean at the global mean has length 0 and the
    logarithm -inf, which makes ``logs`` infinite.

    **Arguments:** ``global_mean`` None: means are centred already.

    Raises InputError on fewer than 2 classes or shapes that do not match.

    Source: Papyan et al., PNAS 2020 (NC2); Wu & Papyan, NeurIPS 2024

    >>> equinorm(torch.tensor([[1.0, 0.0], [0.0, 3.0]])).norms
    Spread(mean=2.0, var=1.0, cv=0.5)
    """
    norms = torch.linalg.vector_norm(centred(means, global_mean), dim=1)
    return Equinorm(Spread.of(norms), Spread.of(norms.log()))


def etf_error(means: Float[Array, "K d"], global_mean: Float[Array, "d"] | None = None) -> float:
    """Return how far the class means are from a simplex equiangular tight frame, from 0 to 2.

    ``| G / |G|_F - (I - 11^T / K) / sqrt(K - 1) |_F`` with G the inner products of the centred means. 0 for a regular simplex,
    sqrt(2) where there is no relation. K > d + 1 classes cannot reach 0: then it is at least
    ``sqrt(2 - 2 sqrt(d / (K - 1)))``. Time K d^2, without a (K, K) matrix where K > d + 1.

    **Arguments:** ``global_mean`` None: means are taken as they are.

    Raises InputError on fewer than 2 classes, shapes that do not match, or means that are all the global mean.

    >>> round(etf_error(torch.eye(4) - 1 / 4), 6), round(etf_error(torch.eye(4)), 6)
    (0.0, 0.517638)
    """
    m = centred(means, global_mean)
    if not m.any():
        raise InputError("all class means are the global mean, so they have no geometry")
    return structure_error(m, m)


def structure_error(a: Tensor, b: Tensor) -> float:
    """Return the distance of G = a b^T (K, K), scaled to norm 1, to the simplex of K classes, scaled to norm 1."""
    k, d = a.shape
    a, b = a / a.abs().max(), b / b.abs().max()
    if k <= d + 1:
        gram = a @ b.T
        norm = torch.linalg.matrix_norm(gram)
        ideal = torch.eye(k, dtype=a.dtype, device=a.device) - 1 / k
        # Where every product is 0 there is nothing to scale: only the simplex remains, of norm 1.
        return float(torch.linalg.matrix_norm(gram / norm.where(norm > 0, 1) - ideal / (k - 1) ** 0.5))
    # |G|_F^2 = <a^T a, b^T b>, and <G, I - 11^T / K> = tr G - (sum a).(sum b) / K: sums over d x d. What is lost to rounding
    # is lost near 0 only, where so many classes cannot come.
    norm = math.sqrt(max(0.0, float(((a.T @ a) * (b.T @ b)).sum())))
    if norm == 0:
        return 1.0
    shared = float((a * b).sum() - a.sum(0) @ b.sum(0) / k) / (norm * (k - 1) ** 0.5)
    return math.sqrt(max(0.0, 2 - 2 * shared))


def interference(
    means: Float[Array, "K d"], global_mean: Float[Array, "d"] | None = None, *, normalize: bool = True
) -> Spread:
    """Return mean and variance, over pairs of classes, of the inner products of centred means.

    In a simplex every pair has the cosine -1 / (K - 1), and the variance is 0. The published tables of Wu & Papyan give it
    under one name with ``normalize`` (May 2024) and without (October 2024). Time K d^2.

    **Arguments:** ``global_mean`` None: means are centred already; ``normalize``: cosines, else plain products.

    Raises InputError on fewer than 2 classes or shapes that do not match.

    >>> round(interference(torch.eye(4) - 1 / 4).mean, 6)
    -0.333333
    """
    m = centred(means, global_mean)
    m = directions(m) if normalize else m
    k, d = m.shape
    if k <= d + 1:
        above = torch.triu_indices(k, k, 1, device=m.device)
        return Spread.of((m @ m.T)[above[0], above[1]])
    # Sums over all (c, c') from sums over d x d, less the diagonal.
    squares, pairs_ = m.square().sum(1), k * (k - 1)
    mean = float(m.sum(0).square().sum() - squares.sum()) / pairs_
    var = max(0.0, float((m.T @ m).square().sum() - squares.square().sum()) / pairs_ - mean * mean)
    return Spread(mean, var, math.sqrt(var) / abs(mean) if mean else (math.inf if var else 0.0))


def uniformity(
    means: Float[Array, "K d"],
    global_mean: Float[Array, "d"] | None = None,
    kernel: Literal["log", "dist", "riesz"] = "log",
    tile: int = 1024,
) -> Spread:
    """Return mean, variance and coefficient of variation of a kernel over pairs of class directions (GNC2).

    The directions ``u_c = (mean_c - global_mean) / |...|`` are evenly spread over the sphere where all pairs are alike: the
    lower the ``cv``, the more uniform, also for K > d + 1 where no simplex is possible. In 2 dimensions the mean of the log kernel is
    near 0 and its ``cv`` says nothing: read ``var``. A class mean at the global mean has no direction and counts as the origin.

    **Arguments:**
    - ``global_mean`` None: means are centred already.
    - ``kernel``: ``"log"``: -log |u - u'|, infinite where two directions coincide; ``"dist"``: |u - u'|; ``"riesz"``:
      sign(s) |u - u'|^-s with s = d - 2, which overflows to inf in many dimensions.
    - ``tile``: classes at a time; memory is tile^2, time K^2 d.

    Raises InputError on fewer than 2 classes, another kernel, the Riesz kernel in 2 dimensions (s = 0), or shapes that do not match.

    Source: Liu et al., "Generalizing and decoupling neural collapse via hyperspherical uniformity gap", ICLR 2023; Wu & Papyan,
    NeurIPS 2024.

    >>> found = uniformity(torch.eye(4) - 1 / 4)
    >>> round(found.mean, 6), found.var < 1e-30
    (-0.490415, True)
    """
    if kernel not in ("log", "dist", "riesz"):
        raise InputError(f"kernel is {kernel!r}; expected 'log', 'dist' or 'riesz'")
    u = directions(centred(means, global_mean))
    s = u.shape[1] - 2
    if kernel == "riesz" and s == 0:
        raise InputError("the Riesz kernel is constant in 2 dimensions (s = 0); use kernel 'log'")
    gathered = Gather()
    for _, _, squared, keep in pairs(u, tile):
        values = flat(squared, keep)
        if kernel == "log":
            values = values.log_().mul_(-0.5)
        elif kernel == "dist":
            values = values.sqrt_()
        else:
            values = values ** (-s / 2) * (1 if s > 0 else -1)
        gathered.add(values)
    return gathered.spread()
