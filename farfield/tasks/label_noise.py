"""Wrong labels, seeded: which labels of a data set are replaced, and by which class."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.tasks.task import Table

KINDS = ("symmetric", "uniform", "asymmetric", "lt-asymmetric")

Labels = np.ndarray | Tensor


def noise_matrix(
    fraction: float, kind: str = "symmetric", *, classes: int | None = None, counts: Int[Labels, "k"] | None = None
) -> Float[Tensor, "k k"]:
    """Return ``T[k, j]``, the probability that a label k is given as j; float64, each row sums to 1.

    **Arguments:**
    - ``fraction``: of labels that are replaced, 0 to 1.
    - ``kind``: what a replaced label k becomes: "symmetric": any other class alike, ``T[k, j] = fraction / (K - 1)``;
      "uniform": any class alike, so that 1 / K of the replaced ones stay right (Zhang et al., ICLR 2017); "asymmetric": the next
      class, ``k + 1`` modulo K, as one annotator's confusion does (the pair flips of Han et al., NeurIPS 2018);
      "lt-asymmetric": another class in proportion to its size, ``T[k, j] = fraction * n_j / (n - n_k)``, so that large classes
      receive more (Zhang et al., ICCV 2023).
    - ``classes``: K, at least 2; ``counts`` (K,): members of each class, which "lt-asymmetric" needs. One of them is enough.

    Raises InputError on a fraction outside [0, 1], an unknown kind, fewer than two classes, and counts that leave a class nothing
    to become.

    Source: section 4.1 of Zhang et al., ICCV 2023, for "lt-asymmetric"; its theory has ``fraction * n_j / n`` in place of that.

    >>> noise_matrix(0.5, "lt-asymmetric", counts=np.array([2, 3, 1])).tolist()
    [[0.5, 0.375, 0.125], [0.3333333333333333, 0.5, 0.16666666666666666], [0.2, 0.3, 0.5]]
    """
    if not 0 <= fraction <= 1:
        raise InputError(f"the label-noise fraction is {fraction}; it must lie between 0 and 1")
    replaced = _replacement(kind, classes, counts)
    # At fraction 0 and 1 the sum of a row is exactly 1 either way.
    return (1 - fraction) * torch.eye(len(replaced), dtype=torch.float64) + fraction * replaced


def noisy_labels(
    y: Int[Labels, "n"],
    fraction: float,
    kind: str = "symmetric",
    *,
    classes: int | None = None,
    counts: Int[Labels, "k"] | None = None,
    seed: int = 0,
) -> tuple[Int[Labels, "n"], Float[Tensor, "k k"]]:
    """Return labels of which each is replaced with probability ``fraction``, independently, and the matrix of `noise_matrix`.

    With one seed, the labels that are replaced at a smaller fraction are among those replaced at a greater one, by the same
    classes.

    **Arguments:** ``y``: class indices from 0; ``classes``: the greatest label + 1 where not given; ``counts``: the class sizes
    in y where not given; the others as in `noise_matrix`. Numpy comes back as numpy, torch as torch.

    Raises InputError as `noise_matrix`, and on labels that are not (n,) whole numbers in 0..classes-1.

    >>> labels, matrix = noisy_labels(np.arange(10), 0.4, "asymmetric", seed=1)
    >>> set((labels - np.arange(10)).tolist()) <= {0, 1, -9}, matrix[3, 4].item()
    (True, 0.4)
    """
    rows = check_classes(y, classes if counts is None else len(counts))
    k = int(rows.max()) + 1 if classes is None else classes
    counts = torch.bincount(rows, minlength=k) if counts is None else counts
    matrix = noise_matrix(fraction, kind, classes=len(counts), counts=counts)
    given, _ = _replace(rows, fraction, _replacement(kind, len(counts), counts), seed)
    return (given.to(y) if isinstance(y, Tensor) else given.numpy().astype(y.dtype)), matrix


def with_label_noise(
    dataset: Table, fraction: float, classes: int | None = None, seed: int = 0, *, kind: str = "uniform"
) -> tuple[Table, Bool[Tensor, " n"]]:
    """Return a table with noisy labels in its column ``y``, and which labels were replaced.

    With "uniform", 1 / K of the replaced labels are the right ones by chance: compare both columns for those that are wrong.

    **Arguments:** ``dataset``: with a column ``y`` (n,) of class indices; the others as in `noisy_labels`, whose draws these are.

    Raises InputError as `noisy_labels` does, and where there is no column ``y``.

    >>> noisy, replaced = with_label_noise(Table(y=torch.zeros(1000, dtype=torch.long)), 0.3, classes=10)
    >>> 0.25 < replaced.float().mean().item() < 0.35, bool((noisy.columns["y"][~replaced] == 0).all())
    (True, True)
    """
    if "y" not in dataset.columns:
        raise InputError(f"the table has no column 'y'; it has {', '.join(dataset.columns)}")
    y = dataset.columns["y"]
    rows = check_classes(y, classes)
    counts = torch.bincount(rows, minlength=classes or 0)
    noise_matrix(fraction, kind, classes=len(counts), counts=counts)
    given, replaced = _replace(rows, fraction, _replacement(kind, len(counts), counts), seed)
    return dataset.replace(y=given.to(y)), replaced


def check_classes(y: Any, classes: int | None) -> Int[Tensor, " n"]:
    """Return labels as int64 on the CPU. Raises InputError where they are not (n,) whole numbers in 0..classes-1, n at least 1.

    >>> check_classes(np.array([0, 3]), 3)
    Traceback (most recent call last):
    farfield.errors.InputError: y holds the label 3; expected 0..2
    """
    rows = torch.as_tensor(y)
    if rows.ndim != 1 or not len(rows) or rows.is_floating_point() or rows.dtype == torch.bool:
        raise InputError(f"y is {rows.dtype} of shape {tuple(rows.shape)}; expected (n,) whole numbers, n at least 1")
    rows = rows.detach().cpu().long()
    wrong = rows[(rows < 0) | (rows >= (classes or rows.max() + 1))]
    if len(wrong):
        raise InputError(f"y holds the label {int(wrong[0])}; expected 0..{(classes or int(rows.max()) + 1) - 1}")
    return rows


def _replacement(kind: str, classes: int | None, counts: Any) -> Float[Tensor, "k k"]:
    """Return what a replaced label becomes: (K, K) probabilities, row by row."""
    if kind not in KINDS:
        raise unknown_name("kind of label noise", kind, KINDS)
    k = len(counts) if classes is None and counts is not None else classes
    if k is None or k < 2 or (counts is not None and len(counts) != k):
        raise InputError(f"classes is {k} and counts {counts}; expected at least 2 classes, and a count for each")
    others = 1 - torch.eye(k, dtype=torch.float64)
    if kind == "symmetric":
        return others / (k - 1)
    if kind == "uniform":
        return torch.full((k, k), 1 / k, dtype=torch.float64)
    if kind == "asymmetric":
        return torch.eye(k, dtype=torch.float64).roll(1, dims=1)
    if counts is None:
        raise InputError("the kind 'lt-asymmetric' follows the class sizes; give counts")
    sizes = torch.as_tensor(counts).double().cpu()
    if (sizes < 0).any() or (sizes > 0).sum() < 2:
        raise InputError(f"counts is {sizes.tolist()}; 'lt-asymmetric' needs at least two classes with members")
    return others * sizes / (sizes.sum() - sizes)[:, None]


def _replace(rows: Tensor, fraction: float, to: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng([seed, 0x4C4E])
    # Both are drawn for every row, so that another fraction changes no other draw.
    chance, which = random.random(len(rows)), torch.from_numpy(random.random(len(rows)))
    replaced = torch.from_numpy(chance < fraction)
    given, steps = rows.clone(), to.cumsum(1)
    for k in rows.unique().tolist():
        at = replaced & (rows == k)
        # Rounding may leave the last step below 1, where the last class with a chance is meant.
        last = int(to[k].nonzero().max())
        given[at] = torch.searchsorted(steps[k], which[at], right=True).clamp(max=last)
    return given, replaced
