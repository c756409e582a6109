"""How well ordinary learners do on a task, to hold beside a measure of its difficulty."""

import warnings

from jaxtyping import Float, Int

from farfield.errors import InputError
from farfield.measure._arrays import Array
from farfield.measure.difficulty.class_distance import classes, flattened


def learner_errors(
    x: Float[Array, "n ..."], y: Int[Array, " n"], train_rows: int, *, seed: int = 0
) -> dict[str, float]:
    """Return the test errors of three ordinary learners that are trained on some rows and tested on all others.

    ``knn``: 3 nearest neighbours; ``svm``: support vectors with a Gaussian kernel (C = 10, its width from the variance of
    the inputs); ``mlp``: one layer of 64 hidden units, Adam, at most 300 epochs. All are scikit-learn's, and nothing is tuned.

    **Arguments:** ``x`` (n, ...) inputs, flattened; ``y`` (n,) class numbers; ``train_rows``: so many rows, drawn by ``seed``, are for
    training, from 3 to n - 1; ``seed``: also of the network.

    Raises InputError on ``train_rows`` out of range, and where the training rows are of one class.

    >>> from sklearn.datasets import load_iris
    >>> sorted(learner_errors(*load_iris(return_X_y=True), train_rows=50))
    ['knn', 'mlp', 'svm']
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    points = flattened(x)
    inputs, labels = points.cpu().numpy(), classes(y, points).cpu().numpy()
    if not 3 <= train_rows < len(labels):
        raise InputError(
            f"train_rows is {train_rows}; x has {len(labels)} rows, so it must be from 3 to {len(labels) - 1}"
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    train, test = order[:train_rows], order[train_rows:]
    if len(np.unique(labels[train])) < 2:
        raise InputError(f"the {train_rows} training rows that seed {seed} draws are of one class; raise train_rows")
    learners = {
        "knn": KNeighborsClassifier(3),
        "svm": SVC(C=10),
        "mlp": MLPClassifier((64,), max_iter=300, random_state=seed),
    }
    errors = {}
    for name, learner in learners.items():
        with warnings.catch_warnings():
            # 300 epochs are the rule here, whether the loss has settled or not.
            warnings.simplefilter("ignore", ConvergenceWarning)
            learner.fit(inputs[train], labels[train])
        errors[name] = float((learner.predict(inputs[test]) != labels[test]).mean())
    return errors
