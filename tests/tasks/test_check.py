"""A task that someone else made is looked at before any compute."""

from dataclasses import replace

import pytest
import torch

from farfield.errors import InputError
from farfield.tasks import Classes, Image, Table, Task, Text, Tokens, Vector
from farfield.tasks.check import check

INPUTS = {
    "vector": (Vector(2), torch.zeros(4, 2)),
    "image": (Image(1, 2, 2), torch.zeros(4, 1, 2, 2, dtype=torch.uint8)),
    "float image": (Image(1, 2, 2), torch.zeros(4, 1, 2, 2)),
    "text": (Text(), ["a", "b", "c", "d"]),
    "tokens": (Tokens(5, 3), torch.tensor([[0, 4, 1]] * 4)),
}


def task(inputs=INPUTS["vector"][0], x=INPUTS["vector"][1], **columns):
    rows = Table(**{"x": x, "y": torch.tensor([0, 1, 0, 1]), "domain": torch.tensor([0, 0, 1, 1]), **columns})
    return Task("mine", rows, rows, {"iid": rows, "far": rows}, inputs, Classes(2), ("r", "s"))


@pytest.mark.parametrize("kind", INPUTS)
def test_good_tasks_pass(kind):
    check(task(*INPUTS[kind]))


def test_a_far_test_needs_no_domain():
    good = task()
    far = Table(x=torch.zeros(1, 2), y=torch.tensor([1]))
    check(replace(good, tests={"iid": good.tests["iid"], "far": far}))


@pytest.mark.parametrize("label", ["train", "val", "iid", "far"])
def test_every_split_is_looked_at(label):
    good = task()
    bad = good.train.replace(x=torch.tensor([[1.0, float("nan")]] * 4))
    changed = {label: bad} if label in ("train", "val") else {"tests": {**good.tests, label: bad}}
    with pytest.raises(
        InputError, match=f"the task mine: 4 values of x in the split '{label}' are missing or infinite"
    ):
        check(replace(good, **changed))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (lambda: task(x=torch.zeros(4, 3)), r"x in the split 'train' has the shape \(4, 3\); \(n, 2\) is expected"),
        (lambda: task(x=torch.zeros(4, 2).double()), "is float64; float32 is expected"),
        (lambda: task(Image(1, 2, 2), torch.zeros(4, 1, 2, 2).half()), "is float16; float32 or uint8 is expected"),
        (lambda: task(x=["a", "b", "c", "d"]), "must be a tensor, for inputs are vectors of 2 features"),
        (lambda: task(Text(), torch.zeros(4, 2)), "must be strings"),
        (lambda: task(Tokens(4, 3), torch.tensor([[0, 4, 1]] * 4)), r"tokens outside 0\.\.3"),
        (lambda: task(inputs="vectors"), "Image, Vector, Text or Tokens is expected"),
        (lambda: task(y=torch.tensor([0.0, 1.0, 0.0, 1.0])), r"y in the split 'train' must be int64 .* float32"),
        (lambda: task(y=torch.tensor([0, 2, -1, 1])), r"y .* must lie in 0\.\.1; 2 values do not, the first is 2"),
        (
            lambda: task(domain=torch.tensor([0, 0, 0, 2])),
            r"domain .* must lie in 0\.\.1; 1 values do not, the first is 2",
        ),
        (lambda: replace(task(), tests={"iid": task().train}), "has no far test"),
        (lambda: replace(task(), domains=()), "names no training domain"),
        (
            lambda: replace(task(), val=Table(x=torch.zeros(4, 2), y=torch.zeros(4).long())),
            "'val' has no column 'domain'",
        ),
        (lambda: replace(task(), train=Table(x=torch.zeros(4, 2))), "'train' has no column 'y'; it has x"),
    ],
)
def test_what_does_not_fit_is_named(bad, says):
    with pytest.raises(InputError, match=says):
        check(bad())


def test_splits_that_are_not_in_memory_are_read_whole():
    class Rows:
        """1,000 rows made on demand; the last one is not finite."""

        def __len__(self):
            return 1000

        def __getitem__(self, indices):
            x = torch.zeros(len(indices), 2)
            x[indices == 999] = float("inf")
            return {"x": x, "y": torch.zeros(len(indices)).long(), "domain": torch.zeros(len(indices)).long()}

    with pytest.raises(InputError, match="2 values of x in the split 'val'"):
        check(replace(task(), val=Rows()))
