"""Fine-tuning tasks with their pretraining: who sees which rows."""

import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import column
from farfield.tasks.transfer import pretraining

mnist = pytest.mark.needs_data("mnist-10k")
amazon = pytest.mark.needs_data("amazon-reviews")


def rows(x):
    return {row.numpy().tobytes() for row in x.flatten(1)}


@mnist
def test_parity_is_of_upright_digits_and_tests_are_seen_by_nobody():
    task = tasks.load("transfer/mnist-parity", seed=0)
    assert (len(task.train), len(task.val), len(task.tests["iid"])) == (1000, 500, 2000)
    assert task.far == ("rotation 15°", "rotation 30°", "rotation 45°", "rotation 60°", "rotation 75°")
    before, inputs, outputs = pretraining("transfer/mnist-parity")
    assert (len(before), inputs.height, outputs) == (36_000, 14, 10)
    upright = column(before, "x")[:6000]
    tests = rows(column(task.tests["iid"], "x"))
    assert not tests & rows(upright) and not tests & rows(column(task.train, "x"))
    assert not rows(column(task.train, "x")) & rows(column(task.val, "x"))
    # Pretraining labels are the digits; the first 6,000 and each rotation of them have the same.
    digits = column(before, "y").view(6, 6000)
    assert (digits == digits[0]).all() and digits.max() == 9


@mnist
def test_the_seed_decides_the_training_rows_alone():
    one, two = (tasks.load("transfer/mnist-parity", seed=s) for s in (0, 1))
    assert not torch.equal(column(one.train, "x"), column(two.train, "x"))
    assert torch.equal(column(one.tests["iid"], "x"), column(two.tests["iid"], "x"))


@amazon
def test_the_words_that_pretraining_predicts_are_hidden_from_the_inputs():
    task = tasks.load("transfer/amazon-books", seed=0)
    before, inputs, outputs = pretraining("transfer/amazon-books")
    assert inputs.size == 4800 == task.inputs.size and outputs == 200
    y = column(before, "y")
    assert set(y.unique().tolist()) == {0.0, 1.0}
    # The hidden words are the frequent ones: each is in more reviews than any word that is left.
    assert y.mean(0).min() >= (column(before, "x") > 0).float().mean(0).max()
    assert set(task.far) == {"dvd", "electronics", "kitchen"}


def test_an_unknown_one_is_refused():
    with pytest.raises(InputError, match="nearest: transfer/amazon-books"):
        tasks.load("transfer/amazon-book")
