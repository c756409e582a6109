"""Gaussian classes: distances of means, covariances, and the task by name."""

import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import gaussian_classes


def test_means_lie_delta_apart_and_classes_have_the_identity_as_covariance():
    squares = []
    for seed in range(30):
        _, means = gaussian_classes(1, classes=10, dimension=16, delta=3, means_seed=seed)
        squares.append(torch.pdist(means).square().mean())
    assert torch.stack(squares).mean().sqrt().item() == pytest.approx(3, rel=0.05)
    table, means = gaussian_classes(20_000, classes=2, dimension=4, delta=3, seed=1)
    x, y = table.columns["x"], table.columns["y"]
    for c in (0, 1):
        torch.testing.assert_close(x[y == c].mean(0), means[c], atol=0.03, rtol=0)
        torch.testing.assert_close(x[y == c].T.cov(), torch.eye(4), atol=0.05, rtol=0)


def test_seeds_of_points_and_means_are_apart():
    (a, m), (b, n), (c, o) = (gaussian_classes(5, seed=s, means_seed=k) for s, k in ((0, 0), (1, 0), (0, 1)))
    assert torch.equal(m, n) and not torch.equal(m, o)
    assert not torch.equal(a.columns["x"], b.columns["x"])
    torch.testing.assert_close(a.columns["x"] - m[a.columns["y"]], c.columns["x"] - o[c.columns["y"]])


def test_the_task_by_name():
    task = tasks.load("gaussian-classes?delta=6&classes=4&dimension=3&noise=0.2", seed=1)
    assert (len(task.train), len(task.val), len(task.tests["iid"])) == (2000, 400, 1600)
    means = [
        s.columns["x"][s.columns["y"] == 2].mean(0)
        for s in (tasks.load(task.name.split("&noise")[0], seed=1).train, task.tests["iid"])
    ]
    torch.testing.assert_close(*means, atol=0.2, rtol=0)
    assert "gaussian-classes" in tasks.names()


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: gaussian_classes(0), "rows is 0"),
        (lambda: tasks.load("gaussian-classes?delta=far"), "must be numbers"),
        (lambda: tasks.load("gaussian-classes?delta=-1"), "delta -1"),
        (lambda: tasks.load("gaussian-classes?deltas=1"), "nearest: delta"),
        (lambda: tasks.load("gaussian-classes/near"), "nearest: gaussian-classes"),
    ],
)
def test_what_cannot_be_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
