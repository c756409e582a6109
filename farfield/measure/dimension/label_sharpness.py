"""How close together two examples with different labels lie."""

import warnings

import numpy as np
import torch
from jaxtyping import Float, Shaped

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array, same_rows, tensor

METRICS = {"l1": 1.0, "l2": 2.0, "linf": float("inf")}
BLOCK = 4_000_000


def label_sharpness(
    x: Float[Array, "n ..."],
    y: Shaped[Array, "n"],
    n_samples: int = 1000,
    metric: str = "l2",
    quantile: float | None = None,
    *,
    seed: int = 0,
) -> float:
    """Return how sharply labels change with the input: one over the distance of the closest pair with different labels.

    ``max |y_i - y_j| / |x_i - x_j|`` over all pairs of a sample, with 1 in the numerator wherever two labels differ: for two
    classes that is the paper's K_F, for more its extension. Multiplying x by c divides it by c, and it grows with the number
    of examples: compare data sets at the same n, resolution and range of pixels.

    **Arguments:**
    - ``x``: one row per example, further axes are flattened. ``y``: a class per example, any numbers.
    - ``n_samples``: examples compared, drawn by ``seed`` (all where there are fewer), at least 2. A larger sample of the same
      seed holds the smaller one.
    - ``metric``: "l2", "l1" or "linf".
    - ``quantile``: of ``1 / distance`` over the pairs with different labels, in place of their maximum: 0.999 does not hang on
      a single mislabelled example. From 0 to 1.

    Pairs at distance 0 with different labels are left out, with a warning that counts them. One class only, or nothing but
    such pairs: 0.

    Differs from the authors' code, whose test for more than two classes is always true and then counts pairs with the *same*
    label, and which compares batches element by element instead of all pairs.

    Raises InputError on an unknown metric, an argument out of range, a value that is not finite, or rows that do not match.

    Source: Konz & Mazurowski, ICLR 2024, section 3.

    >>> label_sharpness(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 1, 0]))
    1.0
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    if n_samples < 2:
        raise InputError(f"n_samples is {n_samples}; it must be at least 2")
    if quantile is not None and not 0 <= quantile <= 1:
        raise InputError(f"quantile is {quantile}; it must be from 0 to 1")
    rows, labels = tensor(x, "x", dims=None, rows=2), tensor(y, "y", dims=1)
    rows = rows.reshape(len(rows), -1)
    same_rows(x=rows, y=labels)
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:n_samples]
    rows, labels = rows[drawn.to(rows.device)], labels[drawn.to(labels.device)].to(rows.device)
    found, copies = [], 0
    # As many rows at once as keep the block of distances small.
    size = max(1, BLOCK // len(rows))
    for low in range(0, len(rows), size):
        some = slice(low, low + size)
        distances = torch.cdist(rows[some], rows[low:], p=METRICS[metric], compute_mode="donot_use_mm_for_euclid_dist")
        # Each pair once: the later of the two is the column.
        different = (labels[some, None] != labels[None, low:]).triu(1)
        apart = distances[different]
        copies += int((apart == 0).sum())
        apart = apart[apart > 0]
        found.append(apart if quantile is not None else apart.sort().values[:1])
    if copies:
        warnings.warn(f"{copies} pairs of equal inputs with different labels are left out", stacklevel=2)
    inverse = 1 / torch.cat(found)
    if not len(inverse):
        return 0.0
    # numpy's quantile takes any number of values, torch's 16 million at most.
    return float(inverse.max()) if quantile is None else float(np.quantile(inverse.cpu().numpy(), quantile))
