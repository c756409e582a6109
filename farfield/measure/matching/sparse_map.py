"""A linear map from the units of one network to those of another that uses as few weights as it can."""

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor
from farfield.measure.matching.unit_correlation import UnitCorrelation, UnitStatistics

Solver = Literal["ista", "cd", "sgd"]


@dataclass(frozen=True)
class SparseMap:
    """A linear map between standardised units: ``b_j = sum_k weights[j, k] a_k``; it needs no bias there.

    **Fields:** ``weights`` (d_b, d_a); ``loss``: half the mean squared error per predicted unit, without the penalty, on the
    samples it was fitted on (1/2 is what predicting nothing gives; dead units of the second network are left out);
    ``nnz_per_unit`` (d_b,): weights that count as not zero; ``lam``: the penalty; ``statistics``: of the samples of the fit.
    """

    weights: Float[Array, "d_b d_a"]
    loss: float
    nnz_per_unit: Int[Array, "d_b"]
    lam: float
    statistics: UnitStatistics

    @property
    def mean_nnz(self) -> float:
        """Non-zero weights per predicted unit, the mean over living units."""
        return float(tensor(self.nnz_per_unit, "nnz_per_unit", dims=1)[_flags(self.statistics.alive_b)].mean())

    def loss_on(self, statistics: UnitStatistics) -> float:
        """Return the loss on other samples, from their statistics: half the mean squared error in units of the fit's spread.

        Raises InputError where they lack the correlations within the first network, or the numbers of units differ.

        >>> a = torch.tensor([[0.0], [1.0], [2.0]])
        >>> found = sparse_map(a, 2 * a, 0.0)
        >>> other = UnitCorrelation(1, 1).update(a, 2 * a + 1).result()  # off by 1, the standard deviation is 1.63
        >>> round(found.loss_on(other), 4)
        0.1875
        """
        if statistics.within_a is None:
            raise InputError("statistics lack the correlations within the first network: make them with within=True")
        fit, weights = self.statistics, tensor(self.weights, "weights")
        if tuple(statistics.between.shape) != tuple(reversed(weights.shape)):
            raise InputError(
                f"statistics are of {tuple(statistics.between.shape)} units; the map is of {tuple(reversed(weights.shape))}"
            )
        alive_a, alive_b = _flags(fit.alive_a), _flags(fit.alive_b)
        std_a, std_b, new_a, new_b, mean_a, mean_b, moved_a, moved_b = (
            tensor(v, "statistics", dims=1)
            for v in (
                *(fit.std_a, fit.std_b, statistics.std_a, statistics.std_b),
                *(fit.mean_a, fit.mean_b, statistics.mean_a, statistics.mean_b),
            )
        )
        scale_a, scale_b = torch.where(alive_a, 1 / std_a, 0), torch.where(alive_b, 1 / std_b, 0)
        # The moments of the new samples once they are standardised as those of the fit were.
        spread_a, spread_b = new_a * scale_a, new_b * scale_b
        within = tensor(statistics.within_a, "within_a") * spread_a[:, None] * spread_a
        between = tensor(statistics.between, "between") * spread_a[:, None] * spread_b
        bias = (moved_b - mean_b) * scale_b - weights @ ((moved_a - mean_a) * scale_a)
        return _loss(weights, within, between, spread_b.square(), bias, alive_b)

    def affine(self) -> tuple[Float[Array, "d_b d_a"], Float[Array, "d_b"]]:
        """Return weight and bias of the same map between activations as they come, not standardised.

        They fit `farfield.nn.StitchLayer`. A dead unit of the second network is predicted by its constant.

        >>> weight, bias = sparse_map(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [5.0]]), 0.0).affine()
        >>> weight.round(decimals=6).tolist(), bias.round(decimals=6).tolist()
        ([[2.0]], [3.0])
        """
        fit = self.statistics
        weights, alive_a = tensor(self.weights, "weights"), _flags(fit.alive_a)
        mean_a, std_a, mean_b, std_b = (
            tensor(v, "statistics", dims=1) for v in (fit.mean_a, fit.std_a, fit.mean_b, fit.std_b)
        )
        weight = weights * std_b[:, None] * torch.where(alive_a, 1 / std_a, 0)
        return like(weight, self.weights), like(mean_b - weight @ mean_a, self.weights)


def sparse_map(
    a: Float[Array, "n d_a"],
    b: Float[Array, "n d_b"],
    lam: float,
    solver: Solver = "ista",
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 20_000,
    threshold: float | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> SparseMap:
    """Return the linear map from the units of ``a`` to those of ``b`` under an L1 penalty on its weights.

    Minimises, for each unit j of b, ``1/2 mean (b_j - W_j a)^2 + lam |W_j|_1`` over standardised units: the lasso. With
    ``lam`` at or above the largest |correlation| all weights are 0; with 0 it is least squares of the smallest norm. Fit and
    score it on different images (`SparseMap.loss_on`): neighbouring positions of one image are no independent samples.

    **Arguments:**
    - ``a``, ``b``: activations, (n, d) or (n, d, h, w), whose rows and positions are the same samples.
    - ``lam``: the penalty, at least 0.
    - ``solver``: "ista" (accelerated proximal gradient) and "cd" (coordinate descent) find the optimum, with exact zeros.
      "sgd" is the paper's: momentum 0.98, learning rate 0.001 halved every 1,500 of 4,500 steps, weights from N(0, 0.01^2), on
      rows (n, d) only; its weights come near zero without reaching it.
    - ``tolerance``: largest violation of the optimality conditions at which "ista" and "cd" stop; above 0.
    - ``max_iterations``: a warning says where they have not come that far by then.
    - ``threshold``: weights above it in size count as not zero: by default 0, and for "sgd" 0.001.
    - ``batch_size``, ``seed``: of "sgd".

    Raises InputError as `UnitCorrelation`, where an argument is out of range, and where all units of b are dead.

    Source: Li et al., ICLR 2016, section 3.3. Differs from the official code in: no scaling of the initial weights by data
    (the result hardly depends on it), and a map without a bias, which is 0 between standardised units.

    >>> a = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    >>> found = sparse_map(a, a[:, [2, 0]], lam=0.1)
    >>> found.weights.round(decimals=2).tolist(), found.mean_nnz
    ([[0.0, 0.0, 0.9, 0.0], [0.9, 0.0, 0.0, 0.0]], 1.0)
    """
    _check(lam, tolerance, max_iterations)
    if solver not in ("ista", "cd", "sgd"):
        raise InputError(f"solver is {solver!r}; expected ista, cd or sgd")
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
    x, y = (tensor(v, name, dims=None, dtype=None) for v, name in ((a, "a"), (b, "b")))
    if x.ndim < 2 or y.ndim < 2 or (solver == "sgd" and (x.ndim != 2 or y.ndim != 2)):
        wanted = "(n, d)" if solver == "sgd" else "(n, d) or (n, d, h, w)"
        raise InputError(f"a has shape {tuple(x.shape)} and b {tuple(y.shape)}; expected {wanted}")
    statistics = UnitCorrelation(x.shape[1], y.shape[1]).update(a, b).result()
    if solver != "sgd":
        return sparse_map_from_statistics(
            statistics, lam, solver, tolerance=tolerance, max_iterations=max_iterations, threshold=threshold
        )
    _refuse_dead(statistics)
    weights = _sgd(_standardised(x, statistics, "a"), _standardised(y, statistics, "b"), lam, batch_size, seed)
    return _finished(weights, statistics, lam, 1e-3 if threshold is None else threshold)


def sparse_map_from_statistics(
    statistics: UnitStatistics,
    lam: float,
    solver: Literal["ista", "cd"] = "ista",
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 20_000,
    threshold: float | None = None,
) -> SparseMap:
    """Return the same map as `sparse_map`, from correlations alone: for data that does not fit in memory.

    **Arguments:** ``statistics``: of `UnitCorrelation` with ``within=True``; the others as `sparse_map`.

    Raises InputError where they lack the correlations within the first network, an argument is out of range, or all units
    of the second network are dead.

    >>> a = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    >>> found = UnitCorrelation(2, 2).update(a, a.flip(1)).result()
    >>> sparse_map_from_statistics(found, lam=2.0).loss  # above every correlation: predicts nothing
    0.5
    """
    _check(lam, tolerance, max_iterations)
    if solver not in ("ista", "cd"):
        raise InputError(f"solver is {solver!r}; expected ista or cd (sgd needs the samples)")
    if statistics.within_a is None:
        raise InputError("statistics lack the correlations within the first network: make them with within=True")
    _refuse_dead(statistics)
    gram, target = tensor(statistics.within_a, "within_a"), tensor(statistics.between, "between")
    if lam == 0:
        found = torch.linalg.pinv(gram, rtol=1e-11, hermitian=True) @ target
    else:
        found = (_ista if solver == "ista" else _descend)(gram, target, lam, tolerance, max_iterations)
    return _finished(found.T, statistics, lam, 0.0 if threshold is None else threshold)


def one_to_one_map(statistics: UnitStatistics) -> SparseMap:
    """Return the best map with a single weight per predicted unit: from the unit it correlates with most, in size.

    Its loss is ``(1 - C^2) / 2`` for each unit, what a sparse map must beat.

    **Arguments:** ``statistics``: of `UnitCorrelation` with ``within=True``. Errors: as `sparse_map_from_statistics`.

    >>> a = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    >>> one_to_one_map(UnitCorrelation(2, 2).update(a, -a.flip(1)).result()).weights.round(decimals=6)
    tensor([[-0., -1.],
            [-1., -0.]], dtype=torch.float64)
    """
    if statistics.within_a is None:
        raise InputError("statistics lack the correlations within the first network: make them with within=True")
    _refuse_dead(statistics)
    target = tensor(statistics.between, "between")
    one = torch.nn.functional.one_hot(target.abs().argmax(0), len(target)).to(target)  # (d_b, d_a)
    return _finished(one * target.T, statistics, math.nan, 0.0)


def _check(lam: float, tolerance: float, max_iterations: int) -> None:
    if not 0 <= lam < math.inf:
        raise InputError(f"lam is {lam}; it must be at least 0 and finite")
    if not tolerance > 0:
        raise InputError(f"tolerance is {tolerance}; it must be above 0")
    if max_iterations < 1:
        raise InputError(f"max_iterations is {max_iterations}; it must be at least 1")


def _refuse_dead(statistics: UnitStatistics) -> None:
    if not bool(statistics.alive_b.any()):
        raise InputError(f"all {len(statistics.alive_b)} units of b are constant; there is nothing to predict")


def _finished(weights: Tensor, statistics: UnitStatistics, lam: float, threshold: float) -> SparseMap:
    alive_b = _flags(statistics.alive_b)
    weights = torch.where(alive_b[:, None], weights, 0)
    gram, target = tensor(statistics.within_a, "within_a"), tensor(statistics.between, "between")
    zero = torch.zeros_like(target[0])
    loss = _loss(weights, gram, target, zero + 1, zero, alive_b)
    like_a = statistics.between
    return SparseMap(like(weights, like_a), loss, like((weights.abs() > threshold).sum(1), like_a), lam, statistics)


def _loss(
    weights: Float[Tensor, "d_b d_a"],
    gram: Float[Tensor, "d_a d_a"],
    target: Float[Tensor, "d_a d_b"],
    variance: Float[Tensor, "d_b"],
    bias: Float[Tensor, "d_b"],
    alive: Bool[Tensor, "d_b"],
) -> float:
    """Return the mean over living units of ``1/2 (var b - 2 W c + W G W + bias^2)``."""
    squared = variance - 2 * (weights * target.T).sum(1) + ((weights @ gram) * weights).sum(1)
    return float((squared.clamp(min=0) + bias.square())[alive].mean() / 2)


def _violation(w: Tensor, gram: Tensor, target: Tensor, lam: float) -> float:
    """Return by how much the optimality conditions of the lasso are missed, at the worst weight."""
    gradient = gram @ w - target
    at_zero = (gradient.abs() - lam).clamp(min=0)
    return float(torch.where(w == 0, at_zero, (gradient + lam * w.sign()).abs()).max())


def _shrink(values: Tensor, by: float) -> Tensor:
    return values - values.clamp(-by, by)


def _ista(gram: Tensor, target: Tensor, lam: float, tolerance: float, max_iterations: int) -> Tensor:
    """Proximal gradient steps with momentum, restarted where they turn back (Beck and Teboulle 2009; O'Donoghue and Candes 2015)."""
    step = 1 / float(torch.linalg.eigvalsh(gram)[-1].clamp(min=1e-12))
    w = torch.zeros_like(target)
    ahead, t = w, torch.ones_like(target[0])
    for iteration in range(max_iterations):
        if iteration % 10 == 0 and _violation(w, gram, target, lam) <= tolerance:
            return w
        moved = _shrink(ahead - step * (gram @ ahead - target), step * lam)
        # Every predicted unit is a problem of its own, so each restarts by itself.
        back = ((ahead - moved) * (moved - w)).sum(0) > 0
        t = torch.where(back, 1, t)
        following = (1 + (1 + 4 * t.square()).sqrt()) / 2
        ahead = moved + torch.where(back, 0, (t - 1) / following) * (moved - w)
        w, t = moved, following
    return _late(w, gram, target, lam, tolerance, max_iterations)


def _descend(gram: Tensor, target: Tensor, lam: float, tolerance: float, max_iterations: int) -> Tensor:
    """Sweep over the units that predict, each set to its optimum given the others, for all predicted units at once."""
    w = torch.zeros_like(target)
    alive = gram.diagonal().nonzero().flatten().tolist()
    for _ in range(max_iterations):
        if _violation(w, gram, target, lam) <= tolerance:
            return w
        for k in alive:
            w[k] = _shrink(target[k] - gram[k] @ w + gram[k, k] * w[k], lam) / gram[k, k]
    return _late(w, gram, target, lam, tolerance, max_iterations)


def _late(w: Tensor, gram: Tensor, target: Tensor, lam: float, tolerance: float, max_iterations: int) -> Tensor:
    left = _violation(w, gram, target, lam)
    if left > tolerance:
        warnings.warn(
            f"sparse_map at lam {lam:g} misses its optimality conditions by {left:.1e} after {max_iterations} iterations "
            f"(tolerance {tolerance:g})",
            RuntimeWarning,
            stacklevel=4,
        )
    return w


def _standardised(values: Tensor, statistics: UnitStatistics, which: str) -> Tensor:
    mean, std, alive = (
        torch.as_tensor(getattr(statistics, f"{name}_{which}"), device=values.device)
        for name in ("mean", "std", "alive")
    )
    return (values.double() - mean) * torch.where(alive, 1 / std, 0)


def _sgd(a: Tensor, b: Tensor, lam: float, batch_size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    w = 0.01 * torch.randn(b.shape[1], a.shape[1], generator=generator, dtype=torch.float64).to(a.device)
    speed = torch.zeros_like(w)
    for step in range(4500):
        at = torch.randint(len(a), (batch_size,), generator=generator).to(a.device)
        x, y = a[at], b[at]
        gradient = (x @ w.T - y).T @ x / batch_size + lam * w.sign()
        speed = 0.98 * speed - 0.001 * 0.5 ** (step // 1500) * gradient
        w = w + speed
    if not bool(torch.isfinite(w).all()):
        raise ArithmeticError(
            "sparse_map with sgd diverged: so strongly correlated units need a smaller learning rate; use ista or cd"
        )
    return w


def _flags(values: Array) -> Tensor:
    return torch.as_tensor(values)
