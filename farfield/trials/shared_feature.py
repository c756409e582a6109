"""Two linear problems that differ in one shared feature only, and what gradient descent makes of each: one trial of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from farfield import measure

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES, FEATURES = 4, 6
EXPECTED = {
    **{"real_alpha": 0.625, "real_m_coherence": 2.5, "random_alpha": 0.25, "random_m_coherence": 1.0},
    **{"real_own": 0.2, "real_shared": 0.8, "random_own": 1.0, "random_shared": 0.0},
    **{"real_error": 0.04, "random_error": 1.0},
}


def trial() -> dict[str, float]:
    """Return coherence at the start, and weights and test error at the end, of a linear model with squared loss from zero weights.

    Four examples and a fifth to test have six features each, ``y x = e_i + e_6`` with the sixth shared ("real") or ``y x = e_i``
    ("random"); loss ``(1 - w y x)^2 / 2`` (Chatterjee and Zielinski, 2022).

    **Returns:** ``real_alpha``, ``real_m_coherence``, ``real_own`` and ``real_shared`` (weights), ``real_error`` (squared, on the fifth);
    the same for "random".

    >>> found = trial()
    >>> round(found["real_m_coherence"], 6), round(found["real_error"], 6), found["random_error"]
    (2.5, 0.04, 1.0)
    """
    result = {}
    for name, shared in (("real", 1.0), ("random", 0.0)):
        x = torch.eye(FEATURES, dtype=torch.float64)[: EXAMPLES + 1]
        x[:, -1] = shared
        x, test = x[:EXAMPLES], x[EXAMPLES]
        w = torch.zeros(FEATURES, dtype=torch.float64)
        start = measure.coherence_from_gradients(-x)  # -(1 - w x) x at w = 0
        for _ in range(2000):
            w = w + 0.2 * (1 - x @ w) @ x
        result |= {
            f"{name}_alpha": start.alpha,
            f"{name}_m_coherence": start.m_coherence,
            f"{name}_own": float(w[:EXAMPLES].mean()),
            f"{name}_shared": float(w[-1]),
            f"{name}_error": float((1 - test @ w) ** 2),
        }
    return result


def closed_forms(records: pd.DataFrame) -> bool:
    """Return whether the records of this trial, of which there must be some, are what the paper derives, to 1e-9.

    >>> import pandas as pd
    >>> closed_forms(pd.DataFrame([trial()])), closed_forms(pd.DataFrame([{**trial(), "real_alpha": 0.6}]))
    (True, False)
    """
    if any(name not in records for name in EXPECTED):
        return False
    rows = records.dropna(subset=list(EXPECTED))
    return bool(len(rows)) and all(((rows[name] - value).abs() < 1e-9).all() for name, value in EXPECTED.items())
