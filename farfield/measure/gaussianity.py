"""Whether the features of a class look Gaussian: Mardia's and Henze and Zirkler's tests."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor

BLOCK = 4_000_000  # pairs held at once


@dataclass(frozen=True)
class Gaussianity:
    """Tests of multivariate normality, one value for each class in the order of ``classes``.

    **Fields:** ``skewness`` and ``kurtosis``: Mardia's statistics, compared with chi-squared of d (d + 1) (d + 2) / 6 and the standard
    normal distribution; ``henze_zirkler``: the statistic of that test; and the p value of each, small where the class is not Gaussian.

    >>> found = gaussianity(np.random.default_rng(0).uniform(size=(300, 2)))
    >>> bool(found.henze_zirkler_p[0] < 0.05)
    True
    """

    classes: np.ndarray
    skewness: np.ndarray
    skewness_p: np.ndarray
    kurtosis: np.ndarray
    kurtosis_p: np.ndarray
    henze_zirkler: np.ndarray
    henze_zirkler_p: np.ndarray


def gaussianity(z: Float[Array, "n d"], y: Int[Array, "n"] | None = None) -> Gaussianity:
    """Return tests of whether each class of a representation is one Gaussian.

    None of them changes under a linear map of the features. Pairs of rows of a class are gone over in blocks, so memory stays bounded.

    **Arguments:** ``y``: class of each row, any integers; None takes all rows as one class, 0.

    Raises InputError where rows do not match, or a class has no more rows than d, or rows that do not span d dimensions (such as a
    constant feature): its covariance has no inverse.

    Source: Mardia, Biometrika 1970; Henze & Zirkler, Communications in Statistics 1990 (with its log-normal approximation).

    >>> z = np.random.default_rng(0).normal(size=(200, 3))
    >>> bool(gaussianity(z).henze_zirkler_p[0] > 0.05), bool(gaussianity(np.exp(z)).henze_zirkler_p[0] < 1e-3)
    (True, True)
    """
    rows = tensor(z, "z", rows=2)
    labels = torch.zeros(len(rows), device=rows.device) if y is None else tensor(y, "y", dims=1).to(rows.device)
    same_rows(z=rows, y=labels)
    classes = labels.unique()
    found = [_test(rows[labels == c], int(c)) for c in classes]
    return Gaussianity(classes.long().cpu().numpy(), *(np.array(column) for column in zip(*found)))


def _test(x: Tensor, label: int) -> tuple[float, ...]:
    from scipy import stats

    n, d = x.shape
    centred = x - x.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / n)
    if n <= d or float(values[0]) <= 1e-12 * float(values[-1]) or float(values[-1]) == 0:
        raise InputError(
            f"class {label} has {n} rows that do not span its {d} dimensions; its covariance has no inverse"
        )
    white = centred @ (vectors / values.sqrt())  # inner products are Mahalanobis'
    own = white.square().sum(1)
    beta2 = 0.5 * ((2 * d + 1) * n / 4) ** (2 / (d + 4))  # Henze and Zirkler's smoothing, squared
    cubes = near = 0.0
    for part, squares in zip(white.split(max(1, BLOCK // n)), own.split(max(1, BLOCK // n))):
        inner = part @ white.T
        cubes += float(inner.pow(3).sum())
        near += float((-beta2 / 2 * (squares[:, None] + own - 2 * inner)).exp().sum())
    skewness = n * (cubes / n**2) / 6
    kurtosis = (float(own.square().mean()) - d * (d + 2)) / (8 * d * (d + 2) / n) ** 0.5
    to_centre = float((-beta2 / (2 * (1 + beta2)) * own).exp().mean())
    hz = n * (near / n**2 - 2 * (1 + beta2) ** (-d / 2) * to_centre + (1 + 2 * beta2) ** (-d / 2))
    return (
        skewness,
        float(stats.chi2.sf(skewness, d * (d + 1) * (d + 2) / 6)),
        kurtosis,
        float(2 * stats.norm.sf(abs(kurtosis))),
        hz,
        _henze_zirkler_p(hz, d, beta2),
    )


def _henze_zirkler_p(hz: float, d: int, b: float) -> float:
    """Return the p value by the log-normal distribution with the statistic's mean and variance; ``b`` is beta squared."""
    from scipy import stats

    a, w = 1 + 2 * b, (1 + b) * (1 + 3 * b)
    mean = 1 - a ** (-d / 2) * (1 + d * b / a + d * (d + 2) * b**2 / (2 * a**2))
    variance = (
        2 * (1 + 4 * b) ** (-d / 2)
        + 2 * a ** (-d) * (1 + 2 * d * b**2 / a**2 + 3 * d * (d + 2) * b**4 / (4 * a**4))
        - 4 * w ** (-d / 2) * (1 + 3 * d * b**2 / (2 * w) + d * (d + 2) * b**4 / (2 * w**2))
    )
    spread = np.log(1 + variance / mean**2) ** 0.5
    return float(stats.lognorm.sf(hz, spread, scale=mean / (1 + variance / mean**2) ** 0.5))
