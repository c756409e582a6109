"""Whether a representation is distributed alike in two domains."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor

BLOCK = 16_000_000  # distances held at once
MEDIAN_ROWS = 1000


@dataclass(frozen=True)
class DomainInvariance:
    """How far two samples are apart.

    **Fields:** ``mmd``: squared maximum mean discrepancy, near 0 (also below) where they are alike, up to 2; ``auc``: of a linear
    classifier of the domain on rows that it was not fitted to, 0.5 where they are alike (below it by chance), 1 where they are apart.
    """

    mmd: float
    auc: float


def domain_invariance(
    z_a: Float[Array, "n d"], z_b: Float[Array, "m d"], *, folds: int = 5, seed: int = 0
) -> DomainInvariance:
    """Return how well two domains can be told apart in a representation, by a kernel and by a linear classifier.

    The kernel is ``exp(-|x - y|^2 / median)`` with the median squared distance between different rows of both samples (of at
    most 1,000, evenly taken); the estimate is without bias (Gretton et al., JMLR 2012, equation 3). The classifier is logistic
    regression on standardised columns; its AUC is the mean over stratified folds. Where all rows are the same, ``mmd`` is 0
    and ``auc`` 0.5.

    **Arguments:** at least ``folds`` rows in each domain; ``folds``: at least 2; ``seed``: of the folds.

    Raises InputError where the widths differ or there are too few rows.

    >>> rng = np.random.default_rng(0)
    >>> found = domain_invariance(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 5)
    >>> found.mmd > 0.5, found.auc
    (True, 1.0)
    """
    if folds < 2:
        raise InputError(f"folds is {folds}; it must be at least 2")
    a, b = tensor(z_a, "z_a", rows=folds), tensor(z_b, "z_b", rows=folds)
    if a.shape[1] != b.shape[1]:
        raise InputError(f"z_a has {a.shape[1]} columns but z_b has {b.shape[1]}")
    b = b.to(a.device)
    # Distances do not change with the origin; near the rows' centre they lose the fewest digits.
    centre = torch.cat([a, b]).mean(0)
    return DomainInvariance(_mmd(a - centre, b - centre), _auc(a, b, folds=folds, seed=seed))


def _mmd(a: Tensor, b: Tensor) -> float:
    both = torch.cat([a, b])
    some = both[torch.linspace(0, len(both) - 1, min(MEDIAN_ROWS, len(both))).round().long()]
    squares = torch.pdist(some).square()
    scale = squares[squares > 0].median() if bool((squares > 0).any()) else torch.ones((), dtype=a.dtype)

    def mean(x: Tensor, y: Tensor, *, same: bool) -> Tensor:
        total = torch.zeros((), dtype=x.dtype, device=x.device)
        for rows in x.split(max(1, BLOCK // len(y))):
            distances = rows.square().sum(1)[:, None] + y.square().sum(1) - 2 * rows @ y.T
            total += (-distances.clamp(min=0) / scale).exp().sum()
        # A row with itself has kernel 1.
        return (total - len(x)) / (len(x) * (len(x) - 1)) if same else total / (len(x) * len(y))

    return float(mean(a, a, same=True) + mean(b, b, same=True) - 2 * mean(a, b, same=False))


def _auc(a: Tensor, b: Tensor, *, folds: int, seed: int) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = torch.cat([a, b]).cpu().numpy()
    domain = np.repeat([0, 1], [len(a), len(b)])
    found = []
    for fit, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, domain):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, tol=1e-3))
        classifier.fit(rows[fit], domain[fit])
        found.append(roc_auc_score(domain[held_out], classifier.decision_function(rows[held_out])))
    return float(np.mean(found))
