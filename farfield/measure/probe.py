"""What simple classifiers read out of a representation, with intervals."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor

BLOCK = 16_000_000  # similarities held at once


@dataclass(frozen=True)
class Accuracy:
    """The share of ``n`` rows that were classified right, its 95 % interval (Wilson's), and the right ones (n,) bool."""

    value: float
    low: float
    high: float
    n: int
    right: np.ndarray


def linear_probe(x: Float[Array, "n d"], y: Int[Array, "n"], *, folds: int = 5, seed: int = 0) -> Accuracy:
    """Return the accuracy of a linear classifier on rows that it was not fitted to, by cross-validation.

    Logistic regression on standardised columns with the penalty ``|w|^2 / 2`` (scikit-learn's C = 1). Folds are stratified
    and drawn from ``seed``. Each row is predicted once; the interval takes rows as independent and leaves out that folds
    share training rows.

    **Arguments:** ``y``: class indices; each class needs at least ``folds`` rows; ``folds`` at least 2.

    Raises InputError where rows do not match, a class has fewer rows than folds, or there is one class only.

    >>> x = np.repeat([[0.0], [1.0]], 20, axis=0)
    >>> linear_probe(x, np.repeat([0, 1], 20)).value
    1.0
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if folds < 2:
        raise InputError(f"folds is {folds}; it must be at least 2")
    rows, labels = tensor(x, "x", rows=2).cpu().numpy(), _labels(x, y)
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < folds:
        raise InputError(
            f"the class {classes[counts.argmin()]} of y has {counts.min()} rows; {folds} folds need at least {folds} of each"
        )
    right = np.zeros(len(rows), dtype=bool)
    for fit, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, labels):
        # So loose a tolerance decides no prediction that is not a coin flip, and is several times as fast.
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, tol=1e-3))
        classifier.fit(rows[fit], labels[fit])
        right[held_out] = classifier.predict(rows[held_out]) == labels[held_out]
    return _accuracy(right)


def knn_accuracy(x: Float[Array, "n d"], y: Int[Array, "n"], *, k: int = 10) -> Accuracy:
    """Return the accuracy of the vote of each row's ``k`` nearest other rows by cosine similarity.

    Of classes with equally many votes, that of the nearer neighbour wins. Rows of zeros are similar to none. With
    duplicated rows it is too high: a row then votes for its copy.

    **Arguments:** ``y``: class indices; ``k`` from 1 to n - 1.

    Raises InputError where rows do not match, ``k`` is out of range, or there is one class only.

    >>> x = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> knn_accuracy(x, np.array([0, 0, 1, 1]), k=1).value
    1.0
    """
    rows, labels = tensor(x, "x", rows=2), torch.from_numpy(np.unique(_labels(x, y), return_inverse=True)[1])
    n = len(rows)
    if not 1 <= k < n:
        raise InputError(f"k is {k}; x has {n} rows, so it must be from 1 to {n - 1}")
    labels = labels.to(rows.device)
    units = torch.nn.functional.normalize(rows, dim=1)
    right = []
    # A little more for a nearer neighbour decides ties, and never more than a whole vote.
    weights = 1 + torch.linspace(0.4 / k, 0, k, dtype=rows.dtype, device=rows.device)
    for at in torch.arange(n, device=rows.device).split(max(1, BLOCK // n)):
        similar = units[at] @ units.T
        similar[torch.arange(len(at), device=at.device), at] = -torch.inf
        votes = torch.zeros(len(at), int(labels.max()) + 1, dtype=rows.dtype, device=rows.device)
        votes.scatter_add_(1, labels[similar.topk(k).indices], weights.expand(len(at), -1))
        right.append(votes.argmax(1) == labels[at])
    return _accuracy(torch.cat(right).cpu().numpy())


def _labels(x: Array, y: Array) -> np.ndarray:
    given = tensor(y, "y", dims=1)
    same_rows(x=tensor(x, "x", dtype=None), y=given)
    labels = given.cpu().numpy()
    if (labels != np.round(labels)).any():
        raise InputError("y holds fractions; expected class indices")
    if len(np.unique(labels)) < 2:
        raise InputError(f"all labels of y are {labels[0]:g}; there is nothing to tell apart")
    return labels.astype(np.int64)


def _accuracy(right: np.ndarray) -> Accuracy:
    from scipy.stats import binomtest

    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return Accuracy(float(right.mean()), float(interval.low), float(interval.high), len(right), right)
