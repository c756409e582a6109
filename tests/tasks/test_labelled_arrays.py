"""Arrays by name: the same rows as their source, and clear sentences for names that are none."""

import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import labelled_arrays
from farfield.tasks.sources import load_source


def test_images_are_the_sources_and_pooling_keeps_their_mean():
    x, y = labelled_arrays("digits")
    source = load_source("digits")
    assert torch.equal(x, source.images) and y.tolist() == source.labels.tolist()
    small, _ = labelled_arrays("digits?size=4")
    assert torch.allclose(small.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6)
    assert torch.equal(small[0, 0, 0, 0], x[0, 0, :2, :2].mean())


def test_a_task_gives_the_rows_of_its_training_domains():
    x, y = labelled_arrays("digits/rotation", seed=2)
    task = tasks.load("digits/rotation", seed=2)
    parts = [task.train, task.val, task.tests["iid"]]
    assert len(x) == len(y) == sum(map(len, parts))
    assert torch.equal(x[: len(task.train)], task.train.columns["x"])


def test_what_is_generated_follows_name_and_seed():
    x, y = labelled_arrays("torus?m=2&resolution=0.4&n=50", seed=1)
    assert torch.equal(x, tasks.torus_classes(50, 2, 0.4, seed=1).columns["x"]) and set(y.tolist()) == {0, 1}
    x, _ = labelled_arrays("sphere?m=2&resolution=0.4&n=50", seed=1)
    assert torch.equal(x, tasks.sphere_classes(50, 2, 0.4, seed=1).columns["x"])
    x, _ = labelled_arrays("cartpole?velocities=no&horizon=3&n=40", seed=1)
    expected = tasks.cartpole_observations(40, velocities=False, horizon=3, seed=1)
    assert torch.equal(x, expected.columns["x"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("digits?classes=3,x", "classes=3,x|classes=x of digits"),
        ("digits?classes=3,11", "no image of some of the classes"),
        ("digits?size=9", "size=9 of digits.* from 1 to 8"),
        ("digits?blur=1", "option"),
        ("sphere?m=2", "needs the option resolution"),
        ("sphere?m=two&resolution=0.3", "m=two"),
        ("cartpole?velocities=maybe", "must be yes or no"),
        ("iris?size=2", "option"),
        ("irish", "unknown task"),
    ],
)
def test_unknown_names_and_options_are_refused(name, says):
    with pytest.raises(InputError, match=says):
        labelled_arrays(name)
