import pytest
import torch

from farfield import nn
from farfield.errors import InputError
from farfield.nn.text import hash_words
from farfield.tasks.task import Table, Text, Vector


class Rows:
    """A split that is not a Table, with its text in a plain list."""

    def __init__(self, table):
        self.table = table

    def __len__(self):
        return len(self.table)

    def __getitem__(self, indices):
        return self.table[indices]


def test_images_and_vectors_stay_the_same_task(image_task, vector_task):
    for task, name in ((image_task(), "cnn"), (vector_task(), "mlp"), (image_task(), "hf:anything")):
        assert nn.prepare(name, task) is task


def test_text_is_hashed_in_every_split_and_the_rest_stays(text_task):
    task = text_task()
    ready = nn.prepare("linear", task)
    assert ready.inputs == Vector(4096)
    assert ready.train.columns["x"].equal(hash_words(task.train.columns["x"].tolist()))
    assert ready.tests["far"].columns["x"].equal(ready.train.columns["x"][:2])
    for column in ("y", "domain"):
        assert ready.train.columns[column].equal(task.train.columns[column])
    assert (ready.name, ready.outputs, ready.domains) == (task.name, task.outputs, task.domains)
    assert nn.load("linear", ready)(ready.train[[0, 1]]["x"]).shape == (2, 3)


def test_new_rows_are_read_in_the_same_way(text_task):
    task = text_task()
    new = nn.prepare_inputs("mlp", Table(x=task.train.columns["x"].tolist()), Text())
    assert new.columns["x"].equal(nn.prepare("mlp", task).train.columns["x"])
    vectors = Table(x=torch.zeros(2, 3))
    assert nn.prepare_inputs("mlp", vectors, Vector(3)) is vectors


def test_labels_are_not_looked_at(text_task):
    import dataclasses

    task = text_task()
    other = dataclasses.replace(task, train=task.train.replace(y=1 - task.train.columns["y"]))
    assert nn.prepare("mlp", task).train.columns["x"].equal(nn.prepare("mlp", other).train.columns["x"])


def test_a_split_of_another_kind_becomes_a_table(text_task):
    import dataclasses

    task = text_task()
    ready = nn.prepare("mlp", dataclasses.replace(task, train=Rows(task.train)))
    assert ready.train.columns["x"].equal(nn.prepare("mlp", task).train.columns["x"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cnn", "cnn takes images of at least 4x4; the task hand has text: use linear or mlp"),
        ("timm:resnet18", "timm:resnet18 takes images; the task hand has text"),
        ("mpl", "unknown model 'mpl'; nearest: mlp"),
        ("hf:/no/such/folder", "there is no such folder"),
    ],
)
def test_a_model_that_takes_no_text_is_refused(text_task, name, message):
    with pytest.raises(InputError, match=message):
        nn.prepare(name, text_task())


def test_ones_own_model_gets_the_strings(text_task):
    task = text_task()
    assert nn.prepare("some_module:make", task) is task
