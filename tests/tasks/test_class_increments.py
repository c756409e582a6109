"""Classes that arrive a few at a time: no class twice, no row lost, and a memory of the past."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks import ClassIncrements, Rehearsal, Table, class_increments, half_from_memory
from farfield.tasks.class_increments import join


def labelled(classes=12, rows=7, first=3):
    y = torch.arange(first, first + classes).repeat(rows)
    return Table(x=torch.arange(len(y)), y=y, name=[f"row {i}" for i in range(len(y))])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 3), st.integers(0, 100))
def test_classes_are_in_one_part_each_and_rows_stay_with_them(sizes, held_out, seed):
    data = labelled()
    found = class_increments(data, sizes, held_out=held_out, seed=seed)
    assert isinstance(found, ClassIncrements) and found.counts == tuple(sizes)
    parts = [*found.tasks, *([found.held_out] if held_out else [])]
    labels = [set(p.columns["label"].tolist()) for p in parts]
    assert sum(map(len, labels)) == len(set.union(*labels)) == sum(sizes) + held_out
    for part in parts:
        x = part.columns["x"]
        assert torch.equal(data.columns["y"][x], part.columns["label"]) and len(x.unique()) == len(part) == 7 * len(
            part.columns["y"].unique()
        )
        assert list(part.columns["name"]) == [f"row {i}" for i in x.tolist()]
    # Numbers follow the order of arrival, and order says which label each is.
    seen = torch.cat([t.columns["y"].unique() for t in found.tasks])
    assert torch.equal(seen, torch.arange(sum(sizes)))
    for task in found.tasks:
        assert torch.equal(found.order[task.columns["y"]], task.columns["label"])
    assert (found.held_out is None) == (held_out == 0)


def test_seeds_and_held_out_classes():
    data = labelled()
    a, b = (class_increments(data, [2, 2], held_out=3, seed=1) for _ in range(2))
    assert torch.equal(a.order, b.order) and torch.equal(a.tasks[0].columns["x"], b.tasks[0].columns["x"])
    assert not torch.equal(a.order, class_increments(data, [2, 2], held_out=3, seed=2).order)
    # The held-out classes do not depend on the tasks.
    other = class_increments(data, [5], held_out=3, seed=1)
    assert torch.equal(other.held_out.columns["label"], a.held_out.columns["label"])


def test_rows_of_a_class_are_limited():
    found = class_increments(labelled(), [4], per_class=2, held_out=2, seed=0)
    assert torch.bincount(found.tasks[0].columns["y"]).tolist() == [2] * 4
    assert torch.bincount(found.held_out.columns["y"]).tolist() == [2] * 2


class Rows:
    """A split that is no table: rows are made when they are asked for, as those of a data set on disk are."""

    def __len__(self):
        return 6

    def __getitem__(self, at):
        columns = {"x": torch.arange(6.0)[:, None], "y": torch.arange(6) // 2}
        return columns[at] if isinstance(at, str) else {name: values[at] for name, values in columns.items()}


def test_a_split_of_another_kind():
    for task in class_increments(Rows(), [1, 1], seed=0).tasks:
        assert torch.equal(task.columns["x"].long()[:, 0] // 2, task.columns["label"]) and len(task) == 2


def test_memory_keeps_some_rows_of_each_class():
    memory, tasks = Rehearsal(3, seed=0), class_increments(labelled(), [2, 2], seed=0).tasks
    assert memory.table is None
    memory.add(tasks[0])
    first = memory.table.columns["x"]
    memory.add(tasks[1])
    assert torch.bincount(memory.table.columns["y"]).tolist() == [3] * 4
    assert torch.equal(memory.table.columns["x"][:6], first) and len(memory.table.columns["x"].unique()) == 12
    other = Rehearsal(3, seed=1)
    other.add(tasks[0])
    assert not torch.equal(other.table.columns["x"], first)
    # A class with fewer rows is kept whole.
    all_of_it = Rehearsal(100)
    all_of_it.add(tasks[0])
    assert len(all_of_it.table) == 14


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 20), st.integers(0, 50))
def test_half_of_a_batch_is_from_memory(memory, new, size, seed):
    stream = half_from_memory(memory, new, size, seed=seed)
    batches = torch.stack([next(stream) for _ in range(40)])
    old = batches < memory
    assert batches.shape == (40, size) and (old.sum(1) == size // 2).all()
    assert batches.min() >= 0 and batches.max() < memory + new
    for rows, count, share in ((batches[old], memory, size // 2), (batches[~old] - memory, new, size - size // 2)):
        counts = np.bincount(rows, minlength=count)
        # At most one more for each time that the half repeats its rows.
        assert counts.max() - counts.min() <= -(-share // count)


def test_tables_are_joined():
    both = join(labelled(2, 1), labelled(3, 1).replace(extra=torch.zeros(3)))
    assert sorted(both.columns) == ["x", "y"] and both.columns["y"].tolist() == [3, 4, 3, 4, 5]


def test_bad_input_is_named():
    with pytest.raises(InputError, match="add up to 13 classes; the data has 12"):
        class_increments(labelled(), [10], held_out=3, seed=0)
    with pytest.raises(InputError, match=r"sizes is \[0\]"):
        class_increments(labelled(), [0], seed=0)
    with pytest.raises(InputError, match="per_class is 0"):
        class_increments(labelled(), [1], per_class=0, seed=0)
    with pytest.raises(InputError, match=r"type torch\.float32; expected \(n,\) integers"):
        class_increments(Table(y=torch.zeros(3)), [1], seed=0)
    with pytest.raises(InputError, match="per_class is 0"):
        Rehearsal(0)
    with pytest.raises(InputError, match="memory is 0"):
        next(half_from_memory(0, 1, 2, seed=0))
