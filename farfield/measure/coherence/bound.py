"""What coherence along training says about the gap between training and test loss."""

import math
from collections.abc import Sequence

import numpy as np

from farfield.errors import InputError


def coherence_bound(
    alphas: Sequence[float], learning_rates: Sequence[float], *, lipschitz: float, smoothness: float, m: int
) -> float:
    """Return an upper bound on the expected generalization gap of gradient descent, from the coherence along its way.

    ``(L^2 / m) sum_t eta_t [prod_{k > t} (1 + eta_k beta)] sqrt(2 (1 - alpha(w_{t-1})))`` (Chatterjee and Zielinski, 2022), for
    stochastic gradient descent too, whatever its batch size. 0 where all gradients agree at every step. The product grows
    exponentially with the steps: as a number it is loose, infinite where it overflows; what it tells is that coherence early in
    training counts most.

    **Arguments:**
    - ``alphas`` (T,): alpha over the distribution before each of the T steps, from 0 to 1.
    - ``learning_rates`` (T,): eta_1..eta_T, at least 0.
    - ``lipschitz``: L, ``smoothness``: beta, of the loss of every example, at least 0; ``m``: training examples, at least 1.

    Raises InputError on an argument out of its range and on lists of different lengths.

    >>> round(coherence_bound([1.0, 0.5], [0.1, 0.1], lipschitz=2.0, smoothness=1.0, m=10), 6)
    0.04
    """
    alpha, eta = np.asarray(alphas, dtype=float), np.asarray(learning_rates, dtype=float)
    if alpha.ndim != 1 or alpha.shape != eta.shape or not len(alpha):
        raise InputError(
            f"alphas has shape {alpha.shape} and learning_rates {eta.shape}; expected (t,) for both, t at least 1"
        )
    if not ((alpha >= 0) & (alpha <= 1)).all():
        raise InputError(f"alphas holds {alpha[~((alpha >= 0) & (alpha <= 1))][0]}; each must be from 0 to 1")
    if not ((eta >= 0) & np.isfinite(eta)).all():
        raise InputError(f"learning_rates holds {eta[~((eta >= 0) & np.isfinite(eta))][0]}; each must be at least 0")
    for name, value in {"lipschitz": lipschitz, "smoothness": smoothness}.items():
        if not (value >= 0 and math.isfinite(value)):
            raise InputError(f"{name} is {value}; it must be at least 0 and finite")
    if m < 1:
        raise InputError(f"m is {m}; it must be at least 1")
    growth = np.log1p(eta * smoothness)
    after = growth.sum() - growth.cumsum()  # log of the product over k > t
    terms = eta * np.sqrt(2 * (1 - alpha))
    used = terms > 0
    if not used.any():
        return 0.0
    with np.errstate(over="ignore"):
        return float(lipschitz**2 / m * np.exp(after[used] + np.log(terms[used])).sum())
