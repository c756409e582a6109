"""How well a new task can be read off a representation, and what a richer one adds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor

C_GRID = (1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class TunedProbe:
    """A linear classifier on standardised features, made by `tuned_probe`.

    **Fields:** ``c``: the inverse penalty that was chosen; ``classes`` (k,): labels in the order of the probabilities.
    """

    c: float
    classes: np.ndarray
    _mean: np.ndarray
    _scale: np.ndarray
    _fitted: object

    def probabilities(self, z: Float[Array, "m d"]) -> np.ndarray:
        """Return the probability of each class (m, k). Raises InputError on another width."""
        rows = tensor(z, "z", rows=1).cpu().numpy()
        if rows.shape[1] != len(self._mean):
            raise InputError(f"z has {rows.shape[1]} columns; the probe was trained on {len(self._mean)}")
        return self._fitted.predict_proba((rows - self._mean) / self._scale)


def tuned_probe(
    z: Float[Array, "n d"],
    y: Int[Array, "n"],
    c_grid: Sequence[float] = C_GRID,
    *,
    folds: int = 3,
    seed: int = 0,
) -> TunedProbe:
    """Return a linear classifier trained on a representation, its penalty tuned on the same rows.

    Logistic regression on standardised columns (the scales of several networks differ), with the penalty ``|w|^2 / (2 C)`` on
    the sum of the losses. C is chosen by accuracy in stratified folds, the smaller one where two are equal: a wider
    representation needs a stronger penalty. Constant columns count for nothing.

    **Arguments:** ``y``: class indices; ``c_grid``: values of C, above 0; a single one is taken as it is; ``folds``: at least 2;
    fewer where a class has fewer rows, and where a class has a single row the smallest C is taken; ``seed``: of the folds.

    Raises InputError where rows do not match, there is one class only, or a value is out of range.

    Source: the linear probing of Zhang & Bottou, ICML 2023, by logistic regression in place of SGD.

    >>> probe = tuned_probe(np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat([3, 5], 10))
    >>> probe.classes[probe.probabilities(np.array([[0.1], [0.9]])).argmax(1)].tolist()
    [3, 5]
    """
    from sklearn.model_selection import StratifiedKFold

    grid = sorted(float(c) for c in c_grid)
    if not grid or not 0 < grid[0] <= grid[-1] < float("inf"):
        raise InputError(f"c_grid is {list(c_grid)}; expected at least one value, all above 0")
    if folds < 2:
        raise InputError(f"folds is {folds}; it must be at least 2")
    rows, labels = tensor(z, "z").cpu().numpy(), _labels(z, y, "z", "y")
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise InputError(f"all labels of y are {classes[0]}; there is nothing to tell apart")
    c, parts = grid[0], min(folds, int(counts.min()))
    if len(grid) > 1 and parts >= 2:
        right = np.zeros(len(grid))
        for fit, held_out in StratifiedKFold(parts, shuffle=True, random_state=seed).split(rows, labels):
            x, mean, scale = _standardised(rows[fit])
            at = (rows[held_out] - mean) / scale
            # Each fit starts from the one before: from a strong penalty to a weak one.
            classifier = _logistic()
            for i, value in enumerate(grid):
                classifier.set_params(C=value).fit(x, labels[fit])
                right[i] += (classifier.predict(at) == labels[held_out]).sum()
        c = grid[int(right.argmax())]
    x, mean, scale = _standardised(rows)
    return TunedProbe(c, classes, mean, scale, _logistic().set_params(C=c).fit(x, labels))


def transfer_probe(
    z_train: Float[Array, "n d"],
    y_train: Int[Array, "n"],
    z_test: Float[Array, "m d"],
    y_test: Int[Array, "m"],
    c_grid: Sequence[float] = C_GRID,
    *,
    folds: int = 3,
    seed: int = 0,
) -> float:
    """Return the accuracy (0 to 1) on test rows of a linear classifier that was trained and tuned on others: `tuned_probe`.

    **Arguments:** as `tuned_probe`; ``y_test``: class indices, of which the training rows know each.

    Raises InputError as `tuned_probe` does, and where widths differ or a test class has no training row.

    Source: Zhang & Bottou, ICML 2023, who report the best weight decay on the test; this one is chosen without it.

    >>> x = np.repeat([[0.0], [1.0]], 10, axis=0)
    >>> transfer_probe(x, np.repeat([0, 1], 10), np.array([[0.1], [0.9]]), np.array([0, 1]))
    1.0
    """
    wanted = _labels(z_test, y_test, "z_test", "y_test")
    unseen = np.setdiff1d(wanted, _labels(z_train, y_train, "z_train", "y_train"))
    if len(unseen):
        raise InputError(f"y_test holds the class {unseen[0]}, of which y_train has no row")
    widths = [tensor(z, name, dtype=None).shape[1] for z, name in ((z_train, "z_train"), (z_test, "z_test"))]
    if widths[0] != widths[1]:
        raise InputError(f"z_train has {widths[0]} columns but z_test has {widths[1]}; they must be the same")
    probe = tuned_probe(z_train, y_train, c_grid, folds=folds, seed=seed)
    return float((probe.classes[probe.probabilities(z_test).argmax(1)] == wanted).mean())


@dataclass(frozen=True)
class RepresentationGain:
    """What concatenating adds to an accuracy, in its unit, each as (mean, low, high) of a paired 95 % interval.

    **Fields:** ``over_single``: concatenation minus one network; ``over_wide``: concatenation minus one network of its size;
    ``of_size``: that network minus one of the plain size.
    """

    over_single: tuple[float, float, float]
    over_wide: tuple[float, float, float]
    of_size: tuple[float, float, float]


def representation_gain(
    single: Float[Array, "n"], cat: Float[Array, "n"], wide: Float[Array, "n"]
) -> RepresentationGain:
    """Return how much better a concatenation is than one network, and how much of that its mere size explains.

    **Arguments:** accuracies of one network, of the concatenation and of one network as large as the concatenation, over n at
    least 2 independent repetitions (seeds), in the same order.

    Student's t interval of the paired differences; without spread it has no width.

    Raises InputError on fewer than two repetitions, or different numbers of them.

    Source: the comparison of Zhang & Bottou, ICML 2023, figure 1.

    >>> gain = representation_gain(np.array([0.5, 0.6]), np.array([0.8, 0.9]), np.array([0.6, 0.7]))
    >>> [round(mean, 2) for mean, _, _ in (gain.over_single, gain.over_wide, gain.of_size)]
    [0.3, 0.2, 0.1]
    """
    given = {name: tensor(v, name, dims=1, rows=2) for name, v in (("single", single), ("cat", cat), ("wide", wide))}
    same_rows(**given)
    one, many, large = (v.cpu().numpy() for v in given.values())
    return RepresentationGain(_interval(many - one), _interval(many - large), _interval(large - one))


def _interval(differences: np.ndarray) -> tuple[float, float, float]:
    from scipy import stats

    n, mean = len(differences), float(differences.mean())
    half = float(stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def _logistic():
    from sklearn.linear_model import LogisticRegression

    # So loose a tolerance decides no prediction that is not a coin flip, and is several times as fast.
    return LogisticRegression(max_iter=1000, tol=1e-3, warm_start=True)


def _standardised(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return standardised columns, and the mean and scale that did it; constant ones become 0 here and anywhere."""
    mean, spread = x.mean(0), x.std(0)
    # A column that is constant but for rounding would be noise blown up to a spread of one.
    scale = np.where(spread > 1e-9 * np.abs(x).max(), spread, np.inf)
    return (x - mean) / scale, mean, scale


def _labels(z: Array, y: Array, z_name: str, y_name: str) -> np.ndarray:
    given = tensor(y, y_name, dims=1)
    same_rows(**{z_name: tensor(z, z_name, dtype=None), y_name: given})
    labels = given.cpu().numpy()
    if (labels != np.round(labels)).any():
        raise InputError(f"{y_name} holds fractions; expected class indices")
    return labels.astype(np.int64)
