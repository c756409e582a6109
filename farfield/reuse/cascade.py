"""Classify with few dimensions, and go on to more of them only where the answer is unsure."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor

GRID = np.linspace(0.1, 1, 100)


class CascadeClassifier:
    """Use the smallest size whose highest probability is above its threshold; the last size answers what is left.

    **Arguments:** ``thresholds``: G - 1 numbers, where they are known; else `fit` chooses them. At 0 the first size
    always answers, at 1 it never does ("above" is strict).

    How far that goes is told by `farfield.measure.expected_dimension` of the levels.

    Source: Kusupati et al., NeurIPS 2022, section 4.2.1 and its appendix; the grid of the released code.

    >>> probs = np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.8, 0.2], [0.1, 0.9]]])  # 2 sizes, 2 rows, 2 classes
    >>> labels, level = CascadeClassifier().fit(probs, np.array([0, 1])).predict(probs)
    >>> labels.tolist(), level.tolist()
    ([0, 1], [0, 1])
    """

    def __init__(self, thresholds: Sequence[float] | None = None):
        self.thresholds: Float[np.ndarray, " levels"] | None = None
        if thresholds is not None:
            self.thresholds = np.asarray(thresholds, dtype=np.float64)
            if self.thresholds.ndim != 1 or not ((self.thresholds >= 0) & (self.thresholds <= 1)).all():
                raise InputError(f"thresholds is {list(thresholds)}; expected numbers from 0 to 1")

    def fit(self, probs: Float[Array, "sizes n classes"], y: Int[Array, " n"]) -> "CascadeClassifier":
        """Choose each threshold on rows held back for it, and return the classifier.

        For each pair of sizes that follow each other: the threshold of 100 from 0.1 to 1 at which "the smaller where it
        is above, else the larger" is right most often; the smallest of the best.

        **Arguments:** ``probs``: class probabilities of each size, the smallest first, at least two; ``y``: class
        indices.

        Raises InputError on values that are no probabilities, or labels that do not fit.
        """
        found = _probabilities(probs)
        labels = _labels(y, found)
        if len(found) < 2:
            raise InputError("probs holds one size; a cascade needs at least two")
        confidence, predicted = found.max(2)  # (G, n)
        right = (predicted == labels).double()
        grid = torch.from_numpy(GRID).to(found.device)
        # The entries of the grid below a confidence are the thresholds that it exceeds.
        below = torch.searchsorted(grid, confidence[:-1].double().contiguous())  # (G - 1, n)
        gain = torch.zeros(len(found) - 1, len(grid) + 1, dtype=torch.float64, device=found.device)
        # Of a row with b entries below, thresholds 0..b-1 take the smaller size: its gain over the larger counts there.
        gain.scatter_add_(1, below, right[:-1] - right[1:])
        correct = gain.flip(1).cumsum(1).flip(1)[:, 1:]
        # The first maximum: argmax of equal values may be any.
        first = (correct == correct.max(1, keepdim=True).values).int().cumsum(1).eq(0).sum(1)
        self.thresholds = GRID[first.cpu().numpy()]
        return self

    def predict(self, probs: Float[Array, "sizes n classes"]) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
        """Return the class of each row, and which size gave it (0 for the smallest).

        **Arguments:** ``probs``: as in `fit`. With fewer sizes than were fitted, the cascade ends at the last of these.

        Raises InputError before `fit`, and where there are more sizes than thresholds allow.
        """
        if self.thresholds is None:
            raise InputError("the cascade has no thresholds; call fit first")
        found = _probabilities(probs)
        if len(found) > len(self.thresholds) + 1:
            raise InputError(f"probs holds {len(found)} sizes; the cascade has {len(self.thresholds) + 1}")
        confidence, predicted = found.max(2)
        thresholds = torch.from_numpy(self.thresholds[: len(found) - 1]).to(found.device)
        unsure = confidence[:-1].double() <= thresholds[:, None]
        level = unsure.int().cumprod(0).sum(0)
        labels = predicted.gather(0, level[None].long())[0]
        return like(labels, probs), like(level, probs)


def _probabilities(probs: Array) -> Tensor:
    found = tensor(probs, "probs", dims=3, dtype=None)
    if (found < 0).any() or ((found.sum(2) - 1).abs() > 1e-3).any():
        raise InputError("probs holds rows that are no probabilities (they must add up to 1); give softmax(logits)")
    return found


def _labels(y: Array, probs: Tensor) -> Tensor:
    labels = tensor(y, "y", dims=1, dtype=torch.int64)
    if len(labels) != probs.shape[1]:
        raise InputError(f"probs holds {probs.shape[1]} rows but y {len(labels)}; they must be the same examples")
    if labels.min() < 0 or labels.max() >= probs.shape[2]:
        raise InputError(f"y holds labels from {labels.min()} to {labels.max()}; probs has {probs.shape[2]} classes")
    return labels.to(probs.device)
