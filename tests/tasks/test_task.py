"""Tables, inputs, outputs and the task record."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks import Classes, Split, Table, Task, Vector, column


def table(n=6):
    return Table(
        x=torch.arange(2.0 * n).reshape(n, 2), y=torch.arange(n), words=[f"w{i}" for i in range(n)], z=np.arange(n) * 10
    )


@given(st.lists(st.integers(0, 5), max_size=12))
def test_indexing_returns_the_rows_asked_for_in_their_order(indices):
    t = table()
    for at in (indices, torch.tensor(indices, dtype=torch.long)):
        batch = t[at]
        assert batch["y"].tolist() == indices
        assert batch["z"].tolist() == [10 * i for i in indices]
        assert batch["words"] == [f"w{i}" for i in indices]
        assert batch["x"].tolist() == [[2.0 * i, 2.0 * i + 1] for i in indices]


def test_a_slice_is_an_index_too():
    batch = table()[slice(1, 3)]
    assert batch["y"].tolist() == [1, 2]
    assert batch["words"] == ["w1", "w2"]


def test_bytes_in_x_come_out_in_zero_to_one_and_stay_bytes_inside():
    t = Table(x=torch.tensor([[0], [51], [255]], dtype=torch.uint8), y=torch.tensor([0, 51, 255], dtype=torch.uint8))
    batch = t[torch.tensor([2, 1])]
    torch.testing.assert_close(batch["x"], torch.tensor([[1.0], [0.2]]))
    assert batch["y"].dtype == torch.uint8
    assert t.columns["x"].tolist() == [[0], [51], [255]]
    assert t.take([1]).columns["x"].dtype == torch.uint8


def test_take_copies_and_replace_shares():
    t = table()
    taken = t.take([4, 0])
    taken.columns["x"][0] = -1
    assert t.columns["x"][4].tolist() == [8.0, 9.0]
    replaced = t.replace(y=torch.zeros(6))
    assert replaced.columns["x"] is t.columns["x"]
    assert t.columns["y"].tolist() == list(range(6))


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InputError, match=r"one length.*'x': 2.*'y': 3"):
        Table(x=torch.zeros(2, 1), y=torch.zeros(3))
    with pytest.raises(InputError, match="at least one column"):
        Table()


def test_a_hugging_face_data_set_is_a_split_as_it_is():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"x": [[0.0, 1.0], [2.0, 3.0]], "y": [0, 1]}).with_format("torch")
    assert isinstance(data, Split)
    assert data[torch.tensor([1])]["x"].tolist() == [[2.0, 3.0]]
    assert column(data, "y").tolist() == [0, 1]


def task(**changed):
    rows = Table(x=torch.zeros(4, 2), y=torch.tensor([0, 1, 0, 1]), domain=torch.zeros(4, dtype=torch.long))
    fields = {"name": "mine", "train": rows, "val": rows, "tests": {"iid": rows, "a": rows, "b": rows}}
    return Task(**{**fields, "inputs": Vector(2), "outputs": Classes(2), "domains": ("s",), **changed})


def test_far_tests_are_all_but_the_near_one():
    assert task().far == ("a", "b")


def test_a_task_without_a_near_test_or_with_an_empty_split_is_refused():
    rows = task().train
    with pytest.raises(InputError, match="no 'iid' test"):
        task(tests={"a": rows})
    with pytest.raises(InputError, match="split 'val' of the task mine is empty"):
        task(val=rows.take([]))
    with pytest.raises(InputError, match="split 'a' of the task mine is empty"):
        task(tests={"iid": rows, "a": rows.take([])})


def test_class_names_fit_their_number():
    assert Classes(3).names == ("0", "1", "2")
    with pytest.raises(InputError, match="count 3 but 2 names"):
        Classes(3, ("a", "b"))
