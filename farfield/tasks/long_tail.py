"""Rare classes, seeded: a subset of a data set whose class sizes fall off exponentially."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from farfield.errors import InputError
from farfield.tasks.label_noise import check_classes
from farfield.tasks.task import Table


def long_tail_counts(classes: int, rho: float, n_max: int) -> Int[Tensor, " k"]:
    """Return the class sizes ``floor(n_max * rho^(-k / (K - 1)))`` for k = 0..K-1, the largest first.

    **Arguments:** ``classes``: K, at least 2; ``rho``: imbalance, the largest class over the smallest, at least 1;
    ``n_max``: size of the largest.

    Raises InputError on fewer than two classes, rho below 1, and where the smallest class would have no member.

    Source: Cui et al., CVPR 2019, section 5.1; Zhang et al., ICCV 2023, section 4.1.

    >>> long_tail_counts(10, 10, 500).tolist()
    [500, 387, 299, 232, 179, 139, 107, 83, 64, 50]
    """
    _check(classes, rho)
    exact = n_max * np.power(float(rho), -np.arange(classes) / (classes - 1))
    # A size that is whole but for rounding is that size: 500 / 10 is 50 and not 49.
    counts = np.floor(exact * (1 + 1e-12) + 1e-12).astype(np.int64)
    if counts[-1] < 1:
        raise InputError(f"n_max is {n_max} and rho {rho:g}; the smallest class would have no member")
    return torch.from_numpy(counts)


def long_tailed(
    dataset: Table, rho: float, n_max: int | None = None, seed: int = 0, *, classes: int | None = None
) -> tuple[Table, Int[Tensor, " k"]]:
    """Return the subset of a table whose class sizes are those of `long_tail_counts`, and the classes, the largest first.

    Which class is large is drawn from the seed, so that over seeds difficulty is not mixed up with size; rows of a class are
    drawn from it too, and keep their order.

    **Arguments:**
    - ``dataset``: with a column ``y`` (n,) of class indices.
    - ``rho``: the largest class over the smallest, at least 1.
    - ``n_max``: size of the largest class; None takes the greatest that every class has the rows for.
    - ``classes``: K; the greatest label + 1 where not given.

    Raises InputError where there is no column ``y``, a class has too few rows, or as `long_tail_counts`.

    >>> rows, order = long_tailed(Table(y=torch.arange(3).repeat(40)), rho=4, n_max=40)
    >>> torch.bincount(rows.columns["y"])[order].tolist()
    [40, 20, 10]
    """
    if "y" not in dataset.columns:
        raise InputError(f"the table has no column 'y'; it has {', '.join(dataset.columns)}")
    y = check_classes(dataset.columns["y"], classes)
    available = torch.bincount(y, minlength=classes or 0)
    k = len(available)
    order = torch.from_numpy(np.random.default_rng([seed, 0x4C54]).permutation(k))
    _check(k, rho)
    if n_max is None:
        n_max = int(np.floor((available[order].numpy() * np.power(float(rho), np.arange(k) / (k - 1))).min() + 1e-9))
    counts = long_tail_counts(k, rho, n_max)
    short = (available[order] < counts).nonzero().flatten()
    if len(short):
        at = int(short[0])
        raise InputError(
            f"class {int(order[at])} has {int(available[order[at]])} rows; the long tail needs {int(counts[at])} of it"
        )
    # A random order of all rows, then the first n_k of each class in it.
    random = torch.from_numpy(np.random.default_rng([seed, 0x4C54, 1]).permutation(len(y)))
    kept = [random[y[random] == c][:n] for c, n in zip(order.tolist(), counts.tolist())]
    return dataset.take(torch.cat(kept).sort().values), order


def _check(classes: int, rho: float) -> None:
    if classes < 2:
        raise InputError(f"classes is {classes}; a long tail needs at least 2")
    if not 1 <= rho < float("inf"):
        raise InputError(f"the imbalance rho is {rho}; it must be at least 1")
