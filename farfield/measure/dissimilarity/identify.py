"""Whether a held-out system's layers or regions can be told by their dissimilarities: the paper's test of a statistic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor
from farfield.measure.dissimilarity.geotopology import average_ranks, minmax, window

if TYPE_CHECKING:
    import pandas as pd

Names = Array | Sequence[Any]


@dataclass(frozen=True)
class Identification:
    """How well labels were told.

    **Fields:**
    - ``accuracy``: the share of all rows, from 0 to 1.
    - ``by_subject``: subject -> the share of its rows.
    - ``labels``: the labels in order; ``confusion``: (labels, labels) int64, rows by true and predicted label.
    """

    accuracy: float
    by_subject: dict[Any, float]
    labels: tuple[Any, ...]
    confusion: np.ndarray


def identification(rdms: Array, subject: Names, label: Names) -> Identification:
    """Tell the label of each row from the other subjects' rows, by the nearest centroid, and return how well that went.

    For each subject all of its rows are left out; the centroid of a label is the mean of the other subjects' rows with that
    label; a row is told to be the label of the nearest centroid (Euclidean), the first in order where two are equally near.
    A label that only one subject has cannot be told there and counts as wrong. By chance it is one in the number of labels.

    **Arguments:**
    - ``rdms``: (rows, features), such as condensed dissimilarities, transformed or not, one row for each subject and label.
    - ``subject``: of each row: a participant, a seed, a network. ``label``: of each row: a layer or region. Numbers or texts.

    Raises InputError on numbers of rows that differ, fewer than two subjects or labels, or a value that is not finite.

    Source: Lin & Kriegeskorte, PNAS 2024; `utils_stats.loo_eval` of the authors' code.

    >>> import numpy as np
    >>> rdms = np.array([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.8, 0.2]])
    >>> identification(rdms, subject=["a", "a", "b", "b"], label=[1, 2, 1, 2]).confusion.tolist()
    [[2, 0], [0, 2]]
    """
    x = tensor(rdms, "rdms", rows=2)
    groups = Groups(subject, label, len(x))
    return groups.result(groups.predict(x))


def identification_accuracy(rdms: Array, subject: Names, label: Names) -> float:
    """Return the share of rows whose label the other subjects' rows tell, from 0 to 1; see `identification`.

    >>> import numpy as np
    >>> identification_accuracy(np.array([[0.0], [9.0], [1.0], [8.0]]), ["a", "a", "b", "b"], [1, 2, 1, 2])
    1.0
    """
    return identification(rdms, subject, label).accuracy


def distance_ratio(rdms: Array, subject: Names, label: Names) -> float:
    """Return how much nearer a row lies to other subjects' rows of its label than to their other rows; below 1 is good.

    The mean Euclidean distance to the rows of the same label over that to the rows of another, of each row, averaged over the
    rows that have both. Arguments and errors as for `identification`; also InputError where no row has both, or all of a row's
    distances to the others are 0.

    Source: Lin & Kriegeskorte, PNAS 2024; `utils_stats.loo_eval` of the authors' code, which averages over the rows of one
    subject and label first.

    >>> import numpy as np
    >>> round(distance_ratio(np.array([[0.0], [10.0], [1.0], [11.0]]), ["a", "a", "b", "b"], [1, 2, 1, 2]), 4)
    0.101
    """
    x = tensor(rdms, "rdms", rows=2)
    groups = Groups(subject, label, len(x))
    s, c = groups.subject.to(x.device), groups.label.to(x.device)
    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    other = s[:, None] != s
    same = other & (c[:, None] == c)
    across = other & (c[:, None] != c)
    both = same.any(1) & across.any(1)
    if not both.any():
        raise InputError("no row has rows of other subjects both with its label and with another")
    near = ((distances * same).sum(1) / same.sum(1))[both]
    far = ((distances * across).sum(1) / across.sum(1))[both]
    if (far == 0).any():
        raise InputError("rdms has a row that equals all rows of other labels, so that there is no ratio")
    return float((near / far).mean())


def trsa_grid(rdms: Array, subject: Names, label: Names, step: float = 0.05) -> "pd.DataFrame":
    """Return the identification accuracy of the geo-topological transform for every window (l, u) of a grid.

    **Arguments:** ``rdms``: (rows, pairs) dissimilarities as they are; ``subject``, ``label``: see `identification`; ``step``: of
    the grid, above 0 and at most 0.5.

    **Returns:** a data frame with the columns ``l`` (0, step, ... below 1), ``u`` (1 down to l) and ``accuracy``. A window with
    ``l = u`` is the graph whose edges are the nearest l of all pairs; (0, 0), which tells only the very nearest pair, is left out.

    The best window of the grid is best on these rows: to say how good it is, choose it on some subjects and score it on others.

    Raises InputError as `identification`, and on another step.

    >>> import numpy as np
    >>> rdms = np.random.default_rng(0).normal(size=(2, 3, 10)).cumsum(1).reshape(6, 10)
    >>> found = trsa_grid(rdms, subject=[1, 1, 1, 2, 2, 2], label=[1, 2, 3] * 2, step=0.5)
    >>> found[["l", "u"]].to_numpy().tolist()
    [[0.0, 1.0], [0.0, 0.5], [0.5, 1.0], [0.5, 0.5]]
    """
    import pandas as pd

    if not 0 < step <= 0.5:
        raise InputError(f"step is {step}; it must be above 0 and at most 0.5")
    x = tensor(rdms, "rdms", rows=2)
    groups = Groups(subject, label, len(x))
    r = minmax(average_ranks(x))
    ordered = r.sort(dim=1).values
    rows = []
    for low, high in grid(step):
        found = groups.result(groups.predict(window(r, ordered, low, high)))
        rows.append({"l": low, "u": high, "accuracy": found.accuracy})
    return pd.DataFrame(rows)


def grid(step: float) -> list[tuple[float, float]]:
    """Return the windows (l, u) of a grid: l from 0 to below 1, u from 1 down to l, without (0, 0).

    >>> grid(0.5)
    [(0.0, 1.0), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5)]
    """
    lows = [round(step * i, 10) for i in range(int(np.ceil(1 / step - 1e-9)))]
    return [(low, high) for low in lows for high in [1.0, *reversed(lows)] if high >= low and high > 0]


class Groups:
    """The subjects and labels of rows, checked once, for identification with many statistics of the same rows."""

    def __init__(self, subject: Names, label: Names, rows: int):
        self.subjects, self.subject = _numbered(subject, "subject", rows)
        self.labels, self.label = _numbered(label, "label", rows)

    def predict(self, x: Tensor) -> Tensor:
        """Return for each row (rows, features) the number of the label that the other subjects' rows tell."""
        s, c = self.subject.to(x.device), self.label.to(x.device)
        shape = (len(self.subjects), len(self.labels))
        # Sums and numbers of rows by subject and label. The others are added up anew for each subject: subtracting its rows
        # from a total would lose digits where they are large.
        cell = s * shape[1] + c
        sums = x.new_zeros(shape[0] * shape[1], x.shape[1]).index_add_(0, cell, x).view(*shape, -1)
        counts = torch.bincount(cell, minlength=shape[0] * shape[1]).view(shape)
        predicted = torch.empty_like(c)
        for left_out in range(shape[0]):
            mine, kept = s == left_out, torch.arange(shape[0], device=x.device) != left_out
            others = counts[kept].sum(0)[:, None]
            centroids = sums[kept].sum(0) / others.clamp(min=1)
            distances = torch.cdist(x[mine], centroids, compute_mode="donot_use_mm_for_euclid_dist")
            predicted[mine] = distances.masked_fill_(others.T == 0, torch.inf).argmin(1)
        return predicted

    def result(self, predicted: Tensor) -> Identification:
        """Return how well these labels were told."""
        predicted = predicted.cpu()
        right = predicted == self.label
        n = len(self.labels)
        confusion = torch.bincount(self.label * n + predicted, minlength=n * n).view(n, n).numpy()
        means = [float(right[self.subject == s].double().mean()) for s in range(len(self.subjects))]
        return Identification(float(right.double().mean()), dict(zip(self.subjects, means)), self.labels, confusion)


def _numbered(names: Names, argument: str, rows: int) -> tuple[tuple[Any, ...], Tensor]:
    """Return the distinct names in order, and which each row has."""
    array = np.asarray(names.cpu() if isinstance(names, Tensor) else names)
    if array.ndim != 1 or array.dtype.kind not in "biuUSf":
        raise InputError(
            f"{argument} must be one number or text for each row; it has shape {array.shape} and {array.dtype}"
        )
    if len(array) != rows:
        raise InputError(f"rdms has {rows} rows but {argument} has {len(array)}; there must be one for each row")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{argument} holds a value that is not finite")
    distinct, number = np.unique(array, return_inverse=True)
    if len(distinct) < 2:
        raise InputError(f"{argument} is {distinct.tolist()[0]!r} in every row; identification needs at least two")
    return tuple(distinct.tolist()), torch.from_numpy(number)
