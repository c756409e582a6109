"""The errors of ordinary learners on tasks whose answer is known."""

import numpy as np
import pytest

from farfield.errors import InputError
from farfield.measure import learner_errors, published_difficulty


def test_separated_classes_are_learned_and_random_labels_are_not():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    x = rng.standard_normal((400, 3)) + 6 * y[:, None]
    assert max(learner_errors(x, y, 60).values()) < 0.02
    noise = learner_errors(rng.standard_normal((400, 3)), y, 60)
    assert set(noise) == {"knn", "svm", "mlp"} and all(0.35 < e < 0.65 for e in noise.values())


def test_the_seed_decides_and_shapes_do_not():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((150, 2, 2)), rng.integers(0, 3, 150)
    y = np.where(x[:, 0, 0] > 0.2, 2, y)
    found = learner_errors(x, y, 50, seed=1)
    assert found == learner_errors(x.reshape(150, 4), y + 4, 50, seed=1) != learner_errors(x, y, 50, seed=2)


def test_bad_arguments_are_refused():
    x, y = np.eye(10), np.arange(10) % 2
    with pytest.raises(InputError, match="train_rows is 10"):
        learner_errors(x, y, 10)
    with pytest.raises(InputError, match="are of one class"):
        learner_errors(x, np.r_[np.zeros(9), 1].astype(int), 3, seed=0)


def test_published_tasks_by_name():
    assert published_difficulty("CIFAR-10").bits == pytest.approx(3.44e32, rel=5e-3)
    assert published_difficulty("CIFAR-10", n_discrete=2).out_dim == pytest.approx(1)
    with pytest.raises(InputError, match="unknown published task 'CIFAR'; nearest: CIFAR-10"):
        published_difficulty("CIFAR")
