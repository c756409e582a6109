"""What one representation holds by itself: its directions, its dimension, its neighbours."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from farfield.inspect.findings import Findings
from farfield.inspect.scan import Scan
from farfield.measure import DimensionEstimate, dimension_estimate, hubness, spectrum

# Up to so many columns the covariance of all rows is computed; above, the spectrum is that of the sampled rows.
MOST_COLUMNS = 2048
POINTS = 400  # of a curve that is drawn


def form(found: Findings, name: str, rows: Tensor, scanned: Scan) -> None:
    """Add what one pass over the rows told."""
    n, d = rows.shape
    counts = {
        "rows": n,
        "columns": d,
        "constant_columns": scanned.constant_columns,
        "duplicate_rows": scanned.duplicate_rows,
        "zero_rows": scanned.zero_rows,
    }
    for measure, value in counts.items():
        found.add(name, measure, value, n)
    if scanned.mean_cosine is None:
        found.skip("mean cosine", name, "fewer than two rows have a direction")
    else:
        found.add(name, "mean_cosine", scanned.mean_cosine, n)


def directions(found: Findings, name: str, rows: Tensor, sample: Tensor) -> None:
    """Add how the variance is spread, from all rows where the covariance matrix is of moderate size, else from the sample."""
    with found.attempt("the spectrum", name):
        used = rows if rows.shape[1] <= MOST_COLUMNS else sample
        spread = spectrum(used)
        found.add(name, "participation_ratio", spread.participation_ratio, len(used))
        found.add(name, "effective_rank", spread.effective_rank, len(used))
        found.add(name, "dimensions_90", spread.dimensions_for(0.9), len(used))
        found.add(name, "dimensions_99", spread.dimensions_for(0.99), len(used))
        shares = spread.shares.numpy()
        found.add(name, "largest_share", shares[0], len(used))
        held = np.cumsum(shares)
        at = np.unique(np.geomspace(1, len(held), POINTS).round().astype(int))
        found.draw("spectrum", name, {"directions": at.tolist(), "held": held[at - 1].tolist()})


def dimension(found: Findings, name: str, sample: Tensor) -> None:
    """Add both estimates of the intrinsic dimension, with 95 % intervals from their standard errors."""
    for method, label in (("mle", "MLE"), ("twonn", "TwoNN")):
        with found.attempt(f"the intrinsic dimension ({label})", name):
            estimate = dimension_estimate(sample, method)
            found.add(name, f"dimension_{method}", estimate.value, estimate.n, **interval(estimate))


def interval(estimate: DimensionEstimate) -> dict[str, float]:
    """Return the ends of the 95 % interval that a standard error gives."""
    half = 1.96 * estimate.standard_error
    return {"low": estimate.value - half, "high": estimate.value + half}


def neighbours(found: Findings, name: str, sample: Tensor, k: int = 10) -> None:
    """Add how unevenly rows serve as nearest neighbours."""
    with found.attempt("hubness", name):
        hubs = hubness(sample, min(k, len(sample) - 1))
        found.add(name, "hub_skewness", hubs.skewness, len(sample))
        found.add(name, "orphans", hubs.orphans, len(sample))
        found.add(name, "largest_hub", hubs.largest, len(sample))
