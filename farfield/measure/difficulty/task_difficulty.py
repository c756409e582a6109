"""The difficulty of a task from its data alone: intrinsic dimension, closest classes, radius, and what they amount to in bits."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor
from farfield.measure.difficulty.class_distance import classes, flattened, min_class_distance
from farfield.measure.difficulty.closed_forms import fewshot_difficulty, fewshot_sets
from farfield.measure.difficulty.complexity import Difficulty, inductive_bias_complexity
from farfield.measure.dimension.neighbours import nearest_distances


def knn_dimension(x: Float[Array, "n ..."], k: int = 5, anchors: int = 10_000, *, seed: int = 0) -> float:
    """Return the intrinsic dimension as the inverse mean of ``ln(T_k / T_j)``, T_j the distance to the j-th nearest other point.

    The mean is pooled over j < k and over all anchors (divisor k - 1 per anchor), as in the released code of the measure of
    difficulty. The usual estimator of Levina & Bickel (2004) differs: it divides by k - 2, so that it has no bias, or
    averages the dimensions of the points instead of their inverses. Here a locally uniform cloud of dimension m gives m up to noise.

    **Arguments:**
    - ``x``: (n, ...) points, flattened. Rows that are equal count once, since their distance 0 says nothing of dimension.
    - ``k``: from 2 to the number of different rows - 1.
    - ``anchors``: this many points, drawn by ``seed``, are averaged over; all where there are no more.

    inf where the k nearest of every anchor are equally far, such as corners of a simplex.

    Raises InputError on ``k`` or ``anchors`` out of range, and where all rows are equal.

    Source: Boopathy et al., ICML 2023, appendix on estimating m; Levina & Bickel, NeurIPS 2004, equation 8.

    >>> line = torch.rand(2000, 1, generator=torch.Generator().manual_seed(0)) * torch.ones(1, 3)
    >>> round(knn_dimension(line), 1)
    1.0
    """
    points = flattened(x)
    if anchors < 1:
        raise InputError(f"anchors is {anchors}; it must be at least 1")
    distances = _nearest(points, k)
    if (distances[:, 0] == 0).any():
        points = points.unique(dim=0)
        if len(points) < 2:
            raise InputError("all rows of x are equal; they have no dimension")
        distances = _nearest(points, k)
    if len(points) > anchors:
        chosen = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))[:anchors]
        distances = distances[chosen.to(distances.device)]
    mean = float((distances[:, -1:] / distances[:, :-1]).log().mean())
    return 1 / mean if mean > 0 else math.inf


def task_difficulty(
    x: Float[Array, "n ..."],
    y: Int[Array, " n"],
    error: float,
    m: float | None = None,
    delta: Literal["evt", "min"] | float = "evt",
    *,
    seed: int = 0,
) -> Difficulty:
    """Return how many bits of inductive bias a classification task demands of any learner, from its data alone.

    **Arguments:**
    - ``x``: (n, ...) inputs as they are fed to a model, not centred (images in [0, 1]); ``y``: (n,) class numbers.
    - ``error``: test error to reach, above 0. Bits of tasks compare only at the same one.
    - ``m``: intrinsic dimension; None takes `knn_dimension`, rounded to a whole number of at least 1 as in the released code.
    - ``delta``: the smallest distance of inputs of different class, or how to find it, see `min_class_distance`; it decides more
      than all else, so give "min" where all pairs can be looked at and labels are clean.
    - ``seed``: of the random pairs and anchors.

    **Returns:** `Difficulty` with ``bits``, ``log2_bits``, ``m``, ``delta``, ``radius``, ``n``, ``classes``. Noise on the inputs raises m, but
    moves classes apart as well (a larger delta), so that bits may fall: pass ``delta`` to hold it fixed.

    Raises InputError where two inputs of different class are equal (delta 0, infinitely many bits), there is one class, all
    inputs are 0, or the dimension has no finite value.

    Source: Boopathy et al., ICML 2023, section 4, and the released code.

    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> found = task_difficulty(digits.images / 16, digits.target, error=0.01, delta="min")
    >>> f"{found.bits:.2g}", found.m, round(found.delta, 2), round(found.radius, 2)
    ('3.2e+10', 8.0, 1.18, 4.81)
    """
    points = flattened(x)
    labels = classes(y, points)
    if isinstance(delta, str):
        delta = min_class_distance(points, labels, delta, seed=seed)
        if delta == 0:
            raise InputError(
                "two inputs of different class are equal, or so close that delta is 0, and no number of bits is enough; "
                "remove mislabelled duplicates or pass delta"
            )
    if m is None:
        m = knn_dimension(points, seed=seed)
        if math.isinf(m):
            raise InputError("the intrinsic dimension of x is infinite (all neighbours equally far); pass m")
        m = max(1, round(m))
    radius = float(points.square().sum(1).max().sqrt())
    if radius == 0:
        raise InputError("all inputs are 0; the radius must be above 0")
    count = int(labels.max()) + 1
    return inductive_bias_complexity(error, len(points), m, radius, count, delta, count - 1)


def fewshot_task_difficulty(
    x: Float[Array, "n ..."],
    y: Int[Array, " n"],
    groups: Int[Array, " n"],
    error: float,
    ways: int = 20,
    *,
    k: int = 5,
) -> Difficulty:
    """Return the difficulty of one-shot learning on classes that come in groups, such as the alphabets of characters.

    What `fewshot_difficulty` needs is measured: the dimension within a group (mean over groups) and of all inputs, both rounded,
    the radius, the exact smallest distance of classes, and the number of sets of ``ways`` inputs.

    **Arguments:** ``x`` (n, ...) inputs; ``y`` (n,) class numbers; ``groups`` (n,) group numbers, each class in one of them; ``error``: to
    reach; ``ways``: classes in a set; ``k``: neighbours, see `knn_dimension`.

    Raises InputError as `knn_dimension`, `min_class_distance` and `fewshot_difficulty` do, and where a class lies in two groups.

    Source: Boopathy et al., ICML 2023, appendix on few-shot tasks.

    >>> generator = torch.Generator().manual_seed(0)
    >>> x, y = torch.rand(400, 3, generator=generator), torch.arange(400) % 40
    >>> round(fewshot_task_difficulty(x, y, y // 20, 0.01).m)  # 3 + 19 x 3
    60
    """
    points = flattened(x)
    labels, group = classes(y, points), tensor(groups, "groups", dims=1).to(points.device)
    same_rows(x=points, groups=group)
    distinct = group.unique()
    members = [labels[group == g].unique() for g in distinct]
    if sum(map(len, members)) != len(labels.unique()):
        raise InputError("a class of y lies in more than one of the groups")
    within = [knn_dimension(points[group == g], k) for g in distinct]
    delta = min_class_distance(points, labels, "min")
    if delta == 0:
        raise InputError("two inputs of different class are equal, and no number of bits is enough; remove duplicates")
    return fewshot_difficulty(
        error,
        fewshot_sets([len(m) for m in members], ways, max(1, round(len(points) / len(labels.unique())))),
        max(1, round(sum(within) / len(within))),
        max(1, round(knn_dimension(points, k))),
        float(points.square().sum(1).max().sqrt()),
        delta,
        ways,
    )


def _nearest(points: Tensor, k: int) -> Float[Tensor, "n k"]:
    if not 2 <= k < len(points):
        raise InputError(f"k is {k}; x has {len(points)} different rows, so it must be from 2 to {len(points) - 1}")
    return nearest_distances(points, k)
