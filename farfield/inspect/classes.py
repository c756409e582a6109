"""What a representation holds of the classes: how they lie, whether they have collapsed, what can be read out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from farfield.inspect.alone import MOST_COLUMNS, interval
from farfield.inspect.findings import Findings
from farfield.inspect.labels import Head, Labels
from farfield.inspect.scan import pieces
from farfield.measure import (
    ClassStatistics,
    dimension_estimate,
    equinorm,
    etf_error,
    interference,
    knn_accuracy,
    label_sharpness,
    linear_probe,
    nc1,
    ncc_agreement,
    rdm,
    self_duality,
    task_difficulty,
)
from farfield.measure import cdnv as class_distance_normalized_variance

FOLDS = 5
# Classes with fewer different rows get no dimension of their own.
FEWEST_FOR_DIMENSION = 30
# More classes than this are not drawn one by one.
MOST_DRAWN = 60
ERROR = 0.01


def balance(found: Findings, labels: Labels) -> None:
    """Add how many rows each class has."""
    counts = np.bincount(labels.y, minlength=len(labels.classes))
    shares = counts[counts > 0] / counts.sum()
    n, name = len(labels.y), "labels"
    found.add(name, "classes", len(counts), n)
    found.add(name, "smallest_class", counts.min(), n)
    found.add(name, "largest_class", shares.max(), n)
    found.add(name, "balance", -(shares * np.log(shares)).sum() / np.log(len(counts)), n)


def reading(found: Findings, name: str, sample: Tensor, y: np.ndarray, *, seed: int) -> None:
    """Add the accuracy of two simple classifiers, and label sharpness."""
    with found.attempt("the linear probe", name):
        kept = _with_rows(y, FOLDS)
        probe = linear_probe(sample[kept], y[kept], folds=FOLDS, seed=seed)
        found.add(name, "linear_probe", probe.value, probe.n, low=probe.low, high=probe.high)
    with found.attempt("the vote of nearest neighbours", name):
        vote = knn_accuracy(sample, y, k=min(10, len(sample) - 1))
        found.add(name, "knn_accuracy", vote.value, vote.n, low=vote.low, high=vote.high)
    with found.attempt("label sharpness", name):
        found.add(name, "label_sharpness", label_sharpness(sample, y, seed=seed), min(1000, len(sample)))


def collapse(found: Findings, name: str, rows: Tensor, labels: Labels, head: Head | None) -> None:
    """Add the numbers of neural collapse, from one pass over all rows; NC3 and NC4 need the classifier."""
    with found.attempt("neural collapse", name):
        covariance = rows.shape[1] <= MOST_COLUMNS
        y = torch.from_numpy(labels.y)
        statistics = ClassStatistics(len(labels.classes), rows.shape[1], covariance=covariance)
        for start, piece in pieces(rows):
            statistics.update(piece, y[start : start + len(piece)])
        # A class of one row has no width, and would look collapsed.
        moments = statistics.finish(min_count=2)
        n, means, middle = int(moments.counts.sum()), moments.means, moments.global_mean
        alone = len(labels.classes) - len(means)
        if alone:
            found.skip("neural collapse", name, f"{alone} classes have one row only; the others were measured")
        found.add(name, "cdnv", class_distance_normalized_variance(moments.var, means), n)
        if moments.within is not None:
            found.add(name, "nc1", nc1(moments.within, means, middle), n)
        else:
            found.skip("NC1 by covariances", name, f"it has more than {MOST_COLUMNS:,} columns")
        found.add(name, "norms_cv", equinorm(means, middle).norms.cv, n)
        found.add(name, "etf_error", etf_error(means, middle), n)
        found.add(name, "interference", interference(means, middle).mean, n)
        _class_distances(found, name, means, [labels.classes[i] for i in moments.index.tolist()])
        if head is None:
            found.skip("NC3 and NC4", name, "they need the classifier's weights (--head), which were not given")
            return
        kept = moments.index
        weight, bias = head.weight[kept].double(), None if head.bias is None else head.bias[kept].double()
        found.add(name, "dual_cosine", self_duality(weight, means, middle).cos.mean, n)
        hits = sum(ncc_agreement(piece, weight, means, bias) * len(piece) for _, piece in pieces(rows))
        found.add(name, "ncc_agreement", hits / len(rows), len(rows))


def dimension_by_class(found: Findings, name: str, sample: Tensor, y: np.ndarray, classes: tuple[str, ...]) -> None:
    """Add the intrinsic dimension of the rows of each class that has enough of them."""
    with found.attempt("the dimension within classes", name):
        values: dict[str, dict[str, float]] = {}
        for c, label in enumerate(classes):
            mine = sample[torch.from_numpy(np.flatnonzero(y == c))]
            if len(mine.unique(dim=0)) >= FEWEST_FOR_DIMENSION:
                estimate = dimension_estimate(mine)
                values[label] = {"mean": estimate.value, **interval(estimate)}
        if not values:
            found.skip("the dimension within classes", name, f"no class has {FEWEST_FOR_DIMENSION} rows in the sample")
            return
        found.add(name, "dimension_by_class", float(np.median([v["mean"] for v in values.values()])), len(sample))
        if len(values) <= MOST_DRAWN:
            found.draw("dimension_by_class", name, values)


def task(found: Findings, name: str, sample: Tensor, y: np.ndarray, *, seed: int) -> None:
    """Add how much inductive bias the task demands with this representation as its input."""
    with found.attempt("the difficulty of the task", name):
        # All pairs of a sample can be looked at, so the closest two need no estimate.
        number = np.unique(y, return_inverse=True)[1]
        difficulty = task_difficulty(sample, torch.from_numpy(number), error=ERROR, delta="min", seed=seed)
        if difficulty.determined_by_data:
            found.skip(
                "the difficulty of the task", name, "the data leave nothing open at this error, so it needs no bias"
            )
        else:
            found.add(name, "difficulty", difficulty.log2_bits, len(sample))


def _class_distances(found: Findings, name: str, means: Tensor, classes: list[str]) -> None:
    if 3 <= len(classes) <= MOST_DRAWN:
        found.draw("class_distances", name, {"classes": classes, "rdm": rdm(means).tolist()})


def _with_rows(y: np.ndarray, least: int) -> np.ndarray:
    """Return the rows of classes that have at least so many."""
    counts = np.bincount(y)
    return np.flatnonzero(counts[y] >= least)
