"""Which examples serve as anchors: a fixed list, the same for every model that is to be exchanged."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from farfield.errors import InputError, unknown_name

MODES = ("uniform", "stratified", "kmeans", "fps")


def select_anchors(
    rows: int | Int[Tensor | np.ndarray, " n"],
    k: int,
    mode: Literal["uniform", "stratified", "kmeans", "fps"] = "uniform",
    *,
    seed: int = 0,
    features: Float[Tensor | np.ndarray, "n d"] | None = None,
) -> Int[Tensor, " k"]:
    """Return the row numbers of k anchors, all different.

    **Arguments:**
    - ``rows``: how many rows there are, or their labels (n,), whole numbers.
    - ``mode``: "uniform", at random; "stratified", at random and in turn one of each class in the order of the classes, so that
      their counts differ by at most 1 (a class that is used up is passed over), as the released code does;
      "kmeans", of k clusters the row nearest to each centre; "fps", farthest point sampling from a random first row, each
      next one being the row whose most similar anchor is the least similar.
    - ``features``: (n, d), for "kmeans" and "fps", which compare them by cosine (rows are brought to length 1 first).

    Raises InputError where k is not from 1 to n, "stratified" has no labels, or "kmeans" and "fps" no features.

    Source: Moschella et al., ICLR 2023, section 3 and its appendix on the choice of anchors.

    >>> labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    >>> labels[select_anchors(labels, 7, "stratified")].tolist()
    [0, 1, 2, 0, 1, 2, 0]
    """
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    labels = None if isinstance(rows, int) else torch.as_tensor(rows).cpu()
    if labels is not None and (labels.ndim != 1 or labels.is_floating_point()):
        raise InputError(
            f"rows is {labels.dtype} of shape {tuple(labels.shape)}; expected a number or whole numbers (n,)"
        )
    n = rows if isinstance(rows, int) else len(labels)
    if not 1 <= k <= n:
        raise InputError(f"k is {k}; expected from 1 to {n}, the number of rows")
    rng = np.random.default_rng(seed)
    if mode == "uniform":
        return torch.from_numpy(rng.permutation(n)[:k])
    if mode == "stratified":
        if labels is None:
            raise InputError("mode 'stratified' needs the labels of the rows; only their number came")
        return torch.from_numpy(_in_turn(labels.numpy(), rng)[:k])
    if features is None:
        raise InputError(f"mode {mode!r} needs features (n, d) of the rows; none came")
    x = torch.as_tensor(features).detach().cpu().double()
    if x.ndim != 2 or len(x) != n or not torch.isfinite(x).all():
        raise InputError(f"features has shape {tuple(x.shape)}; expected ({n}, d) of finite values")
    directions = normalize(x, dim=1)
    return _kmeans(directions, k, seed) if mode == "kmeans" else _farthest(directions, k, int(rng.integers(n)))


def _in_turn(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return all rows: the first of each class in a random order, then the second of each, and so on."""
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    _, sizes = np.unique(labels, return_counts=True)
    turn = np.concatenate([np.arange(size) for size in sizes])
    return by_class[np.argsort(turn, kind="stable")]


def _kmeans(x: Tensor, k: int, seed: int) -> Tensor:
    from scipy.optimize import linear_sum_assignment
    from sklearn.cluster import KMeans

    if len(torch.unique(x, dim=0)) < k:
        raise InputError(f"features has fewer different rows than the {k} anchors asked for; kmeans needs one for each")
    centres = torch.from_numpy(KMeans(k, n_init=1, random_state=seed).fit(x.numpy()).cluster_centers_)
    nearest = torch.cdist(centres, x).numpy()
    # An assignment, as one row can be the nearest to two centres.
    return torch.from_numpy(linear_sum_assignment(nearest)[1])


def _farthest(x: Tensor, k: int, first: int) -> Tensor:
    chosen = [first]
    similar = x @ x[first]
    for _ in range(k - 1):
        # Rows already chosen are out, also where all that are left repeat them.
        similar[chosen[-1]] = float("inf")
        chosen.append(int(similar.argmin()))
        similar = torch.maximum(similar, x @ x[chosen[-1]])
    return torch.tensor(chosen)
