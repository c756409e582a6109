"""What a model's scores are worth after some features have lost their tie to the label."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, tensor
from farfield.measure._feeding import batches, call, on_device
from farfield.measure.reliance._features import (
    Coordinates,
    checked,
    checked_rotation,
    count,
    group_places,
    is_frame,
    places,
)
from farfield.nn.evaluating import evaluating

How = Literal["together", "separately", "swap"]
Score = nn.Module | Callable[[Any], Any]


@dataclass(frozen=True)
class FeatureReliance:
    """How well a model ranks the classes (AUC) as the data are, and with groups of features randomized.

    **Fields:** ``standard``; by group ``randomized`` (this group has lost its tie to the label, all others are as they were) and
    ``alone`` (all others have lost theirs, only this group is as it was); ``n`` rows.

    >>> found = FeatureReliance(standard=1.0, randomized={"a": 0.5, "b": 1.0}, alone={"a": 1.0, "b": 0.5}, n=100)
    >>> found.reliance, found.drop
    ({'a': 1.0, 'b': 0.0}, {'a': 0.5, 'b': 0.0})
    """

    standard: float
    randomized: dict[str, float]
    alone: dict[str, float]
    n: int

    @property
    def reliance(self) -> dict[str, float]:
        """Group -> ``2 (0.5 - |AUC - 0.5|)`` with it randomized: 1 where nothing is left without it, 0 where nothing is lost."""
        return {name: 2 * (0.5 - abs(auc - 0.5)) for name, auc in self.randomized.items()}

    @property
    def drop(self) -> dict[str, float]:
        """Group -> what randomizing it costs: the standard AUC minus that with it randomized."""
        return {name: self.standard - auc for name, auc in self.randomized.items()}


def randomize_features(
    x: Any,
    coords: Coordinates,
    *,
    rotation: Float[Array, "d d"] | None = None,
    how: How = "together",
    y: Array | None = None,
    seed: int = 0,
) -> Any:
    """Return a copy of the rows in which some features come from other rows; labels and all other features stay.

    One permutation of the rows is drawn and used for all of these features (``how="together"``), so that their joint
    distribution is kept and only their tie to the label is broken.

    **Arguments:**
    - ``x``: (n, d) or (n, ...), an array, a tensor or a data frame, of any type where there is no rotation.
    - ``coords``: places in the flattened row, or names of columns of the data frame. None of them changes nothing.
    - ``rotation``: W (d, d), orthogonal, where the features are ``x @ W.T``: they are randomized there and rotated back.
    - ``how``: "separately" draws a permutation for each feature, which breaks their ties to each other too; "swap" takes them
      all from a row of another class (drawn anew for each row), which ties them to the wrong label. Both give other numbers.
    - ``y``: labels (n,), for "swap" only; ``seed``: of the draw.

    Raises InputError on shapes that do not fit, a feature that is not there or named twice, a rotation that is not orthogonal or
    comes with a data frame, and a swap without labels of two classes.

    Source: Shah et al., NeurIPS 2020, section 3 (S-randomized metrics); "swap" is of the released code.

    >>> randomize_features(np.array([[1, 10], [2, 20], [3, 30]]), [1], seed=1).tolist()
    [[1, 20], [2, 30], [3, 10]]
    """
    x = checked(x)
    at = places(x, coords)
    return _replaced(x, at, _donors(len(x), len(at), how, y, seed), _rotation(x, rotation))


def randomized_auc(
    score: Score,
    x: Any,
    y: Array,
    groups: Mapping[str, Coordinates],
    *,
    rotation: Float[Array, "d d"] | None = None,
    repeats: int = 5,
    seed: int = 0,
) -> dict[str, float]:
    """Return group of features -> AUC of a model's scores with that group randomized, see `randomize_features`.

    An AUC of 0.5 says that nothing is left without the group, that of the data as they are says that the model does without it.

    **Arguments:**
    - ``score``: a model, asked in evaluation mode, or a function of x such as an estimator's ``predict_proba``. It gives (n,) scores
      that are higher for the greater of two labels, or (n, classes) logits or probabilities; of more than two classes the AUC
      is the mean over classes, each against the rest.
    - ``x``: (n, ...), array, tensor or data frame; ``y``: (n,) labels of two classes, or class indices.
    - ``groups``: name -> places in the flattened row, or columns of the data frame.
    - ``rotation``: as in `randomize_features`; ``repeats``: permutations that are averaged, the same for all groups; ``seed``: of them.

    Raises InputError as `randomize_features` does, on repeats below 1, no groups, labels of one class, and scores of another shape or
    that are not finite.

    Source: Shah et al., NeurIPS 2020, section 3.

    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> found = randomized_auc(lambda x: x[:, 0], x, x[:, 0] > 0, {"first": [0], "second": [1]})
    >>> round(found["first"], 1), found["second"]
    (0.5, 1.0)
    """
    x, y, where, w = _prepared(x, y, groups, rotation, repeats)
    return {name: _mean_auc(score, x, y, at, w, repeats, seed) for name, at in where.items()}


def feature_reliance(
    score: Score,
    x: Any,
    y: Array,
    groups: Mapping[str, Coordinates],
    *,
    rotation: Float[Array, "d d"] | None = None,
    repeats: int = 5,
    seed: int = 0,
) -> FeatureReliance:
    """Return how much a trained model relies on each group of features, on any data that can be cut into groups.

    **Arguments:** as in `randomized_auc`: groups of columns of a table, regions of an image, blocks of a rotated vector. Rows that the
    model was not trained on say more.

    Raises InputError as `randomized_auc` does.

    Source: Shah et al., NeurIPS 2020, section 3. Permutation importance (Breiman, 2001; scikit-learn) is the drop of single features.

    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> found = feature_reliance(lambda x: x[:, 0] + x[:, 1], x, x[:, 0] > 0, {"used": [0, 1], "unused": [2]})
    >>> found.drop["unused"], found.alone["used"] == found.standard, found.reliance["used"] > 0.9
    (0.0, True, True)
    """
    x, y, where, w = _prepared(x, y, groups, rotation, repeats)
    every = torch.arange(count(x))
    others = {name: every[~torch.isin(every, at)] for name, at in where.items()}
    return FeatureReliance(
        standard=_auc(_scores(score, x), y),
        randomized={name: _mean_auc(score, x, y, at, w, repeats, seed) for name, at in where.items()},
        alone={name: _mean_auc(score, x, y, at, w, repeats, seed) for name, at in others.items()},
        n=len(y),
    )


def _prepared(
    x: Any, y: Array, groups: Mapping[str, Coordinates], rotation: Array | None, repeats: int
) -> tuple[Any, np.ndarray, dict[str, Tensor], Tensor | None]:
    x = checked(x)
    labels = tensor(y, "y", dims=1).cpu().numpy()
    if len(labels) != len(x):
        raise InputError(f"x has {len(x)} rows but y has {len(labels)}; they must be the same examples")
    if len(np.unique(labels)) < 2:
        raise InputError(f"all labels of y are {labels[0]:g}; there is nothing to tell apart")
    if repeats < 1:
        raise InputError(f"repeats is {repeats}; it must be at least 1")
    return x, labels, group_places(x, groups), _rotation(x, rotation)


def _mean_auc(score: Score, x: Any, y: np.ndarray, at: Tensor, w: Tensor | None, repeats: int, seed: int) -> float:
    if not len(at):
        return _auc(_scores(score, x), y)
    # Seeds far apart, so that a caller's own seed and its neighbour share no permutation.
    draws = np.random.SeedSequence(seed).generate_state(repeats)
    found = []
    for draw in draws:
        rows = _donors(len(x), len(at), "together", None, int(draw))
        found.append(_auc(_scores(score, _replaced(x, at, rows, w)), y))
    return float(np.mean(found))


def _rotation(x: Any, rotation: Array | None) -> Tensor | None:
    if rotation is not None and is_frame(x):
        raise InputError("rotation came with a data frame; give the values as an array")
    return checked_rotation(rotation, count(x))


def _donors(n: int, m: int, how: str, y: Array | None, seed: int) -> Tensor:
    """Return for each row the row that it takes the features from: (n,), or (n, m), one for each of m features."""
    generator = torch.Generator().manual_seed(seed)
    if how == "together":
        return torch.randperm(n, generator=generator)
    if how == "separately":
        return torch.rand(n, m, generator=generator).argsort(0)
    if how != "swap":
        raise InputError(f"how is {how!r}; it must be 'together', 'separately' or 'swap'")
    if y is None:
        raise InputError("how='swap' takes features from rows of another class: give the labels y")
    labels = tensor(y, "y", dims=1).cpu()
    classes = labels.unique()
    if len(labels) != n or len(classes) < 2:
        raise InputError(f"y has {len(labels)} rows of {len(classes)} classes; expected {n} rows of at least 2")
    rows = torch.empty(n, dtype=torch.long)
    for c in classes:
        mine, others = (labels == c).nonzero()[:, 0], (labels != c).nonzero()[:, 0]
        rows[mine] = others[torch.randint(len(others), (len(mine),), generator=generator)]
    return rows


def _replaced(x: Any, at: Tensor, rows: Tensor, w: Tensor | None) -> Any:
    """Return a copy of x whose features ``at`` come from other rows."""
    if is_frame(x):
        result = x.copy()
        for i, place in enumerate(at.tolist()):
            taken = (rows if rows.ndim == 1 else rows[:, i]).numpy()
            # Whole columns, so that each keeps its type.
            result.isetitem(place, x.iloc[:, place].array[taken])
        return result
    if w is None:
        values = x if isinstance(x, Tensor) else np.ascontiguousarray(x)
        flat = values.reshape(len(x), -1)
        flat = flat.clone() if isinstance(flat, Tensor) else flat.copy()
        flat[:, _as(at, x)] = _taken(flat, at, rows, x)
        return flat.reshape(x.shape)
    values = tensor(x, "x", dims=None, dtype=None)
    w = w.to(values)
    blocks = values.reshape(len(values), -1) @ w.T
    blocks[:, at] = _taken(blocks, at, rows, blocks)
    return like((blocks @ w).reshape(values.shape), x)


def _taken(flat: Any, at: Tensor, rows: Tensor, kind: Any) -> Any:
    own = _as(at, kind)
    return flat[_as(rows, kind)[:, None] if rows.ndim == 1 else _as(rows, kind), own]


def _as(indices: Tensor, kind: Any) -> Any:
    return indices.to(kind.device) if isinstance(kind, Tensor) else indices.numpy()


def _scores(score: Score, x: Any) -> np.ndarray:
    """Return (n,) scores or (n, classes), float64."""
    if isinstance(score, nn.Module):
        if is_frame(x):
            raise InputError("score is a torch module and x a data frame; give x as an array of numbers")
        device = next((p.device for p in score.parameters()), torch.device("cpu"))
        with evaluating(score), torch.no_grad():
            found = torch.cat([call(score, on_device(batch, device)).cpu() for batch in batches(x, 1024)[0]])
    else:
        found = score(x)
    scores = tensor(found, "the scores", dims=None).cpu().numpy()
    scores = scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores
    if len(scores) != len(x) or scores.ndim > 2:
        raise InputError(f"the scores have shape {scores.shape}; expected ({len(x)},) or ({len(x)}, classes)")
    return scores


def _auc(scores: np.ndarray, y: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    classes = np.unique(y)
    if scores.ndim == 2 and scores.shape[1] == 2:
        scores = scores[:, 1] - scores[:, 0]
    if scores.ndim == 1:
        if len(classes) > 2:
            raise InputError(
                f"the scores are one number a row, and y has {len(classes)} classes; give one for each class"
            )
        return float(roc_auc_score(y == classes[1], scores))
    if not np.isin(classes, np.arange(scores.shape[1])).all():
        raise InputError(f"y goes from {classes[0]:g} to {classes[-1]:g}; scores of {scores.shape[1]} classes came")
    return float(np.mean([roc_auc_score(y == c, scores[:, int(c)]) for c in classes]))
