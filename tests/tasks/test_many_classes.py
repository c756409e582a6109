"""Tasks of many classes: their sizes, and that nothing is in two splits."""

import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks.task import column


def keys(split):
    return {x.numpy().tobytes() for x in column(split, "x")}


@pytest.mark.needs_data("mnist-10k")
def test_pairs_of_digits():
    task = tasks.load("digit-pairs", seed=3)
    assert [len(s) for s in (task.train, task.val, task.tests["iid"])] == [10_800, 1_200, 3_000]
    assert str(task.inputs) == "images of 1x14x28" and task.outputs.count == 100
    train, _ = tasks.digit_pairs(seed=3)
    assert keys(task.train) | keys(task.val) == keys(train)
    assert torch.equal(column(task.tests["iid"], "x"), tasks.digit_pairs(seed=3)[1].columns["x"])
    again, other = tasks.load("digit-pairs", seed=3), tasks.load("digit-pairs", seed=4)
    assert again.fingerprint == task.fingerprint != other.fingerprint
    assert torch.equal(column(again.val, "x"), column(task.val, "x"))


@pytest.mark.needs_data("omniglot-small")
def test_characters():
    task = tasks.load("characters")
    assert [len(s) for s in (task.train, task.val, task.tests["iid"])] == [3_049, 339, 1_452]
    drawings = [keys(s) for s in (task.train, task.val, task.tests["iid"])]
    assert len(set.union(*drawings)) == sum(map(len, drawings))
    learned = torch.cat([column(task.train, "y"), column(task.val, "y")])
    assert learned.bincount().tolist() == [14] * 242
    assert column(task.tests["iid"], "y").bincount().tolist() == [6] * 242


def test_names_that_are_none():
    for name in ("digit-pairs/far", "characters/latin"):
        with pytest.raises(InputError, match="unknown task"):
            tasks.load(name)
    with pytest.raises(InputError, match="size"):
        tasks.load("digit-pairs?size=7")
