"""Rows that do not belong to the others of their class."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from farfield.errors import InputError, unknown_name

OUTLIERS = ("lof", "mahalanobis")


def outliers(
    z: Float[Tensor, "n d"],
    kind: Literal["lof", "mahalanobis"] = "lof",
    *,
    n_neighbors: int = 20,
    contamination: float | Literal["auto"] = "auto",
) -> Bool[Tensor, " n"]:
    """Return which rows are outliers among these rows, on their device.

    - "lof": local outlier factor (Breunig et al., SIGMOD 2000, scikit-learn's): rows whose density is far below that of their
      neighbours. "auto" takes those with a factor above 1.5. Many wrong labels that form a cluster of their own are no outliers to it.
    - "mahalanobis": rows far from the minimum covariance determinant fit (Rousseeuw & Van Driessen, 1999, scikit-learn's).
      "auto" takes those beyond the 97.5 % quantile of the chi-squared distribution.

    **Arguments:**
    - ``n_neighbors``: at least 1; with n rows at most n - 1 are used. For "lof" copies of a row count once and are judged alike, as
      otherwise they would be an infinitely dense cluster beside which all others look sparse. Rows that are all equal have no
      outlier; a single row neither.
    - ``contamination``: "auto", or the share of rows to take, in (0, 0.5].

    Raises InputError on a setting out of range, and for "mahalanobis" on no more than 2 d rows, of which the fit would be singular.

    >>> z = torch.cat([torch.randn(50, 8, generator=torch.Generator().manual_seed(0)), torch.full((1, 8), 50.0)])
    >>> outliers(z).nonzero().flatten().tolist()
    [50]
    """
    if kind not in OUTLIERS:
        raise unknown_name("way to find outliers", kind, OUTLIERS)
    if n_neighbors < 1:
        raise InputError(f"n_neighbors is {n_neighbors}; it must be at least 1")
    if contamination != "auto" and not 0 < contamination <= 0.5:
        raise InputError(f"contamination is {contamination}; it must be 'auto' or a share above 0 and up to 0.5")
    n, d = z.shape
    rows = z.detach().double().cpu()
    if kind == "mahalanobis":
        if n <= 2 * d:
            raise InputError(f"{n} rows of {d} dimensions came; 'mahalanobis' needs more than {2 * d}")
        return _far(rows, contamination).to(z.device)
    distinct, which = rows.unique(dim=0, return_inverse=True)
    if len(distinct) < 2:
        return torch.zeros(n, dtype=torch.bool, device=z.device)
    from sklearn.neighbors import LocalOutlierFactor

    factor = LocalOutlierFactor(min(n_neighbors, len(distinct) - 1), contamination=contamination)
    found = torch.from_numpy(factor.fit_predict(distinct.numpy()) == -1)
    return found[which].to(z.device)


def _far(rows: Tensor, contamination: float | str) -> Tensor:
    from scipy import stats
    from sklearn.covariance import MinCovDet

    squared = MinCovDet(random_state=0).fit(rows.numpy()).mahalanobis(rows.numpy())
    found = torch.from_numpy(squared)
    if contamination == "auto":
        return found > stats.chi2.ppf(0.975, rows.shape[1])
    return found > found.quantile(1 - float(contamination))
