"""Whether what does well near does well far: correlations over runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from farfield.errors import InputError


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation over ``n`` runs, its 95 % interval (Fisher's transformation) and two-sided p value."""

    value: float
    low: float
    high: float
    p: float
    n: int


def domain_correlation(
    in_domain: Sequence[float], out_of_domain: Mapping[str, Sequence[float]]
) -> dict[str, Correlation]:
    """Return how the in-domain score correlates with the score in each other domain, over runs or methods.

    **Arguments:** ``in_domain``: a score for each of n runs, n at least 4; ``out_of_domain``: by domain, the scores of the
    same runs in the same order.

    Raises InputError where there are fewer runs, the numbers differ in length, one is not finite, or all of a domain are equal.

    Source: Sherborne et al., ICLR 2024, section 5; Miller et al., "Accuracy on the line", ICML 2021.

    >>> found = domain_correlation([0.7, 0.8, 0.9, 0.95], {"far": [0.5, 0.6, 0.7, 0.75], "farther": [0.4, 0.3, 0.2, 0.1]})
    >>> round(found["far"].value, 3), round(found["farther"].value, 3)
    (1.0, -0.99)
    """
    from scipy.stats import pearsonr

    near = _scores(in_domain, "in_domain")
    if len(near) < 4:
        raise InputError(f"in_domain has {len(near)} runs; an interval needs at least 4")
    if not out_of_domain:
        raise InputError("out_of_domain is empty; expected the scores of at least one domain")
    found = {}
    for name, values in out_of_domain.items():
        far = _scores(values, f"out_of_domain[{name!r}]")
        if len(far) != len(near):
            raise InputError(f"out_of_domain[{name!r}] has {len(far)} runs but in_domain has {len(near)}")
        result = pearsonr(near, far)
        low, high = result.confidence_interval(0.95)
        found[name] = Correlation(float(result.statistic), float(low), float(high), float(result.pvalue), len(near))
    return found


def _scores(values: Sequence[float], name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"{name} must be one finite score for each run; it has shape {array.shape}: {array.tolist()}")
    if len(array) and (array == array[0]).all():
        raise InputError(f"all scores of {name} are {array[0]:g}; they have no correlation with anything")
    return array
