"""One Gaussian for each class of a representation, recovered from labels of which some are wrong and some classes rare."""

import copy
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.reuse.outliers import OUTLIERS, outliers

WEIGHTS = ("count_over_distance", "inverse_distance", "count", "uniform")


class ClassGaussians:
    """Mean and covariance of each class after its outliers are dropped; rare classes borrow from similar large ones.

    **Arguments:**
    - ``outlier``: how rows with wrong labels are looked for, class by class: "lof" (local outlier factor, the paper's), "mahalanobis"
      (far from a robust fit) or None; see `farfield.reuse.outliers`, as for ``n_neighbors`` and ``contamination``.
    - ``shrinkage``: s in [0, 1] of each covariance, ``(1 - s) S + s tr(S) / d I``; above 0 it has full rank also where a class
      has no more rows than dimensions.

    **After fit**, with K classes and d dimensions, float64 on the device of what came: ``means_`` (K, d), ``covs_`` (K, d, d) unbiased,
    ``counts_`` (K,) rows by label, outliers included, and ``kept_`` (n,) bool.

    Raises InputError on a setting out of range.

    Source: Zhang et al., ICCV 2023, section 3.2; Yang et al., ICLR 2021 (free lunch for few-shot learning), for the calibration.

    >>> z = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 3.0]])
    >>> fitted = ClassGaussians(outlier=None).fit(z, torch.tensor([0, 0, 1, 1]))
    >>> fitted.means_.tolist(), fitted.covs_[0].tolist()
    ([[1.0, 0.0], [5.0, 2.0]], [[2.0, 0.0], [0.0, 0.0]])
    """

    means_: Float[Tensor, "k d"]
    covs_: Float[Tensor, "k d d"]
    counts_: Int[Tensor, " k"]
    kept_: Bool[Tensor, " n"]

    def __init__(
        self,
        *,
        outlier: Literal["lof", "mahalanobis"] | None = "lof",
        n_neighbors: int = 20,
        contamination: float | Literal["auto"] = "auto",
        shrinkage: float = 0.0,
    ):
        if outlier is not None and outlier not in OUTLIERS:
            raise unknown_name("way to find outliers", str(outlier), OUTLIERS)
        if not 0 <= shrinkage <= 1:
            raise InputError(f"shrinkage is {shrinkage}; it must lie between 0 and 1")
        self.outlier, self.n_neighbors, self.contamination = outlier, n_neighbors, contamination
        self.shrinkage = shrinkage

    def fit(
        self, z: Float[Tensor, "n d"] | np.ndarray, y: Int[Tensor, " n"] | np.ndarray, *, classes: int | None = None
    ) -> "ClassGaussians":
        """Drop outliers and estimate each class; returns itself.

        **Arguments:** ``z``: features; ``y``: labels from 0, right or wrong; ``classes``: K, the greatest label + 1 where not given.

        Raises InputError on shapes that do not fit, values that are not finite, labels out of range, and a class with fewer than two
        rows, which has no covariance (naming it), or too few for the way outliers are looked for.
        """
        z, y = torch.as_tensor(z), torch.as_tensor(y)
        if z.ndim != 2 or not len(z) or y.shape != z.shape[:1] or y.is_floating_point():
            raise InputError(
                f"z has shape {tuple(z.shape)} and y {tuple(y.shape)}, {y.dtype}; expected (n, d), (n,) whole"
            )
        if not torch.isfinite(z).all():
            raise InputError("z holds a value that is not finite")
        self._dtype = z.dtype if z.is_floating_point() else torch.float64
        z, y = z.detach().double(), y.to(z.device).long()
        k = int(y.max()) + 1 if classes is None else classes
        if int(y.min()) < 0 or int(y.max()) >= k:
            raise InputError(f"y goes from {int(y.min())} to {int(y.max())}; expected 0 to {k - 1}")
        self.counts_ = torch.bincount(y, minlength=k)
        few = (self.counts_ < 2).nonzero().flatten().tolist()
        if few:
            raise InputError(f"class {few[0]} of y has {int(self.counts_[few[0]])} rows; a Gaussian needs at least 2")
        settings = {"n_neighbors": self.n_neighbors, "contamination": self.contamination}
        self.kept_ = torch.ones(len(z), dtype=torch.bool, device=z.device)
        means, covs = [], []
        for c in range(k):
            rows = (y == c).nonzero().flatten()
            if self.outlier is not None:
                try:
                    dropped = outliers(z[rows], self.outlier, **settings)
                except InputError as error:
                    raise InputError(f"class {c} of y: {error}") from error
                # A covariance needs two rows, so two are kept whatever the outliers are.
                if int((~dropped).sum()) >= 2:
                    self.kept_[rows[dropped]] = False
                    rows = rows[~dropped]
            mean = z[rows].mean(0)
            centred = z[rows] - mean
            covs.append(centred.T @ centred / (len(rows) - 1))
            means.append(mean)
        self.means_, covs = torch.stack(means), torch.stack(covs)
        d = z.shape[1]
        scale = covs.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
        self.covs_ = (1 - self.shrinkage) * covs + self.shrinkage * scale * torch.eye(d).to(z)
        return self

    def calibrate_tail(
        self,
        head: Sequence[int] | Tensor | np.ndarray | None = None,
        *,
        q: int = 3,
        gamma_mean: float = 0.1,
        gamma_cov: float = 0.5,
        alpha: float = 0.0,
        weights: Literal["count_over_distance", "inverse_distance", "count", "uniform"] = "count_over_distance",
        spread: Literal["identity", "ones"] = "identity",
    ) -> "ClassGaussians":
        """Return Gaussians whose rare classes have borrowed from the ``q`` large classes with the nearest means.

        ``mu' = gamma_mean * sum_c w_c mu_c + (1 - gamma_mean) mu`` and the same for covariances with ``gamma_cov``, plus ``alpha`` times the
        identity (or a matrix of ones, as in few-shot calibration). ``w_c`` sums to 1 over the q classes and goes as
        ``n_c / d_c`` with d_c the squared distance of the means, ``1 / d_c``, ``n_c`` or 1. A large class at distance 0 takes all the
        weight where distance counts. Large classes stay as they are.

        **Arguments:** ``head``: the large classes, indices or a mask (K,); None takes the larger half by ``counts_``, rounded up.
        ``q``: at least 1; of fewer large classes all are taken. ``gamma_mean``, ``gamma_cov``: in [0, 1]; keep the first small, as it
        pulls a rare class onto its neighbours. ``alpha``: at least 0.

        Raises InputError before `fit`, on a setting out of range, and where head holds no class.

        Differs from the paper in: the exact weights are not given in what could be read; ``n_c / d_c`` is ours.

        >>> g = ClassGaussians(outlier=None).fit(torch.tensor([[0.0], [0.2], [1.0], [1.2], [1.0], [1.2]]), torch.tensor([0, 0, 1, 1, 1, 1]))
        >>> g.calibrate_tail([1], gamma_mean=0.5).means_.T.round(decimals=2).tolist()
        [[0.6, 1.1]]
        """
        means, covs = self._fitted()
        if q < 1 or not 0 <= gamma_mean <= 1 or not 0 <= gamma_cov <= 1 or not alpha >= 0:
            raise InputError(
                f"q is {q}, gamma_mean {gamma_mean}, gamma_cov {gamma_cov} and alpha {alpha}; expected q of at least 1, both "
                "gammas between 0 and 1, and alpha of at least 0"
            )
        if weights not in WEIGHTS:
            raise unknown_name("kind of weights", weights, WEIGHTS)
        if spread not in ("identity", "ones"):
            raise unknown_name("spread", spread, ("identity", "ones"))
        large = self._heads(head)
        tail = torch.ones(len(means), dtype=torch.bool, device=means.device)
        tail[large] = False
        rare = tail.nonzero().flatten()
        squared = (means[rare, None] - means[None, large]).square().sum(2)  # (t, h)
        squared, near = squared.topk(min(q, len(large)), dim=1, largest=False)
        chosen = large[near]  # (t, q)
        shares = _shares(squared, self.counts_[chosen].to(squared), weights)
        d = means.shape[1]
        more = torch.eye(d).to(means) if spread == "identity" else torch.ones(d, d).to(means)
        changed = copy.copy(self)
        changed.means_, changed.covs_ = means.clone(), covs.clone()
        borrowed = (shares[:, :, None] * means[chosen]).sum(1)
        changed.means_[rare] = gamma_mean * borrowed + (1 - gamma_mean) * means[rare]
        borrowed = (shares[:, :, None, None] * covs[chosen]).sum(1)
        changed.covs_[rare] = gamma_cov * borrowed + (1 - gamma_cov) * covs[rare] + alpha * more
        return changed

    def sample(
        self, counts: Sequence[int] | Tensor | np.ndarray, *, seed: int = 0
    ) -> tuple[Float[Tensor, "m d"], Int[Tensor, " m"]]:
        """Return features drawn from the classes' Gaussians and their labels, class by class, in the type of the features fitted.

        A covariance without full rank (a class with no more rows than dimensions) gives points in the plane of its rows; to fill the space,
        fit with shrinkage or calibrate with alpha.

        **Arguments:** ``counts`` (K,): points of each class, at least 0.

        Raises InputError before `fit`, on counts of another shape or below 0, and where a covariance has a negative eigenvalue.

        >>> g = ClassGaussians(outlier=None).fit(torch.tensor([[0.0], [2.0], [5.0], [5.0]]), torch.tensor([0, 0, 1, 1]))
        >>> z, y = g.sample([0, 2])
        >>> z.tolist(), y.tolist()
        ([[5.0], [5.0]], [1, 1])
        """
        means, covs = self._fitted()
        wanted = torch.as_tensor(counts).long().cpu()
        if wanted.shape != (len(means),) or (wanted < 0).any():
            raise InputError(f"counts has shape {tuple(wanted.shape)}; expected ({len(means)},) numbers of at least 0")
        # A root without full rank needs a trace of the identity, far below what any sample can show.
        size = covs.diagonal(dim1=1, dim2=2).abs().mean(1)[:, None, None]
        little = (1e-10 * size + 1e-300) * torch.eye(covs.shape[1]).to(covs)
        roots, info = torch.linalg.cholesky_ex(covs + little)  # (K, d, d), R R^T = covariance
        if info.any():
            c = int(info.ne(0).nonzero()[0])
            lowest = float(torch.linalg.eigvalsh(covs[c])[0])
            raise InputError(f"the covariance of class {c} has the eigenvalue {lowest:.3g}; it must be at least 0")
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(int(wanted.sum()), means.shape[1], generator=generator, dtype=torch.float64).to(means)
        drawn = [means[c] + part @ roots[c].T for c, part in enumerate(noise.split(wanted.tolist()))]
        y = torch.arange(len(means)).repeat_interleave(wanted)
        return torch.cat(drawn).to(self._dtype), y.to(means.device)

    def _fitted(self) -> tuple[Tensor, Tensor]:
        if not hasattr(self, "means_"):
            raise InputError("these Gaussians are not fitted; call fit(z, y) first")
        return self.means_, self.covs_

    def _heads(self, head: Sequence[int] | Tensor | np.ndarray | None) -> Int[Tensor, " h"]:
        k = len(self.counts_)
        if head is None:
            large = self.counts_.argsort(descending=True, stable=True)[: -(-k // 2)]
        else:
            large = torch.as_tensor(head, device=self.counts_.device)
            large = large.nonzero().flatten() if large.dtype == torch.bool else large.long().flatten()
        if not len(large) or int(large.min()) < 0 or int(large.max()) >= k:
            raise InputError(f"head is {large.tolist()}; expected at least one class of 0..{k - 1}")
        return large.unique()


def _shares(squared: Tensor, counts: Tensor, kind: str) -> Float[Tensor, "t q"]:
    """Return weights that sum to 1 over each row."""
    by_count = counts if kind in ("count_over_distance", "count") else torch.ones_like(counts)
    if kind in ("count", "uniform"):
        found = by_count
    else:
        same = squared == 0
        found = torch.where(same.any(1, keepdim=True), same * by_count, by_count / squared.where(~same, 1))
    return found / found.sum(1, keepdim=True)
