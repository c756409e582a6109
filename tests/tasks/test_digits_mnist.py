import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks.digits_mnist import NAMES, expand, load
from farfield.tasks.sources import load_source
from farfield.tasks.task import column

real = pytest.mark.needs_data("mnist-10k")


@real
def test_both_directions_hold_all_of_the_other_data_set():
    to_mnist, to_digits = (load(parse(n), seed=0) for n in NAMES)
    assert (to_mnist.domains, to_mnist.far) == (("digits",), ("mnist",))
    assert (to_digits.domains, to_digits.far) == (("mnist",), ("digits",))
    assert np.array_equal(column(to_mnist.tests["mnist"], "y"), load_source("mnist").labels)
    assert torch.equal(column(to_digits.tests["digits"], "x"), load_source("digits").images)
    for task, n in ((to_mnist, 1797), (to_digits, 10_000)):
        assert len(task.train) + len(task.val) + len(task.tests["iid"]) == n
        assert len(task.val) / n == pytest.approx(0.2, abs=0.01)


@real
def test_mnist_is_reduced_by_exact_area():
    reduced = column(load(parse("digits-mnist/to-mnist"), seed=0).tests["mnist"], "x")
    # Each pixel of 20x20 becomes 2x2, of which each 5x5 block is averaged: 40 = 2 * 20 = 5 * 8.
    box = load_source("mnist").images[:200, :, 4:24, 4:24].float() / 255
    expected = torch.nn.functional.avg_pool2d(box.repeat_interleave(2, 2).repeat_interleave(2, 3), 5)
    assert torch.allclose(reduced[:200], expected, atol=1e-5)
    assert reduced.min() >= 0 and reduced.max() <= 1


@real
def test_what_is_learned_carries_over_in_part():
    from sklearn.linear_model import LogisticRegression

    task = load(parse("digits-mnist/to-digits"), seed=0)
    train = task.train[torch.arange(2000)]
    model = LogisticRegression(C=0.1, max_iter=200).fit(train["x"].flatten(1), train["y"])
    near, far = (model.score(column(s, "x").flatten(1), column(s, "y")) for s in task.tests.values())
    assert near > 0.8
    # Far above chance, as both are upright digits of the same ink, and clearly below: the shift is real.
    assert 0.3 < far < near - 0.1


@real
def test_the_seed_decides_the_split():
    first, again, other = (column(load(parse(NAMES[0]), seed).train, "x") for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert load(parse(NAMES[0]), 0).fingerprint == load(parse(NAMES[0]), 1).fingerprint
    assert load(parse(NAMES[0]), 0).fingerprint != load(parse(NAMES[1]), 0).fingerprint


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("digits-mnist", "several tasks; load one of digits-mnist/to-mnist"),
        ("digits-mnist/to-mnits", "unknown task 'digits-mnist/to-mnits'; nearest: digits-mnist/to-mnist"),
    ],
)
def test_bad_input_is_named(name, says):
    with pytest.raises(InputError, match=says):
        load(parse(name), seed=0)


@real
def test_options_are_refused():
    with pytest.raises(InputError, match="unknown option"):
        load(parse("digits-mnist/to-mnist?rows=5"), seed=0)


def test_every_name_expands_to_itself():
    assert [n.path for path in NAMES for n in expand(parse(path))] == list(NAMES)
