"""Labels and classifiers: from files, columns and arrays, and what is no label."""

import numpy as np
import pandas as pd
import pytest

from farfield.errors import InputError
from farfield.inspect import read_labels
from farfield.inspect.labels import read_head

X = np.arange(12, dtype=np.float32).reshape(4, 3) / 7


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_labels_from_files_arrays_and_columns():
    y = np.array([10, 9, 10, 9])
    np.save("y.npy", y)
    np.savez("y.npz", x=X, y=y)
    np.save("texts.npy", np.array(["b", "a", "b", "a"]))
    pd.DataFrame({"u": X[:, 0], "kind": ["b", "a", "b", "a"]}).to_csv("t.csv", index=False)
    for text, beside, classes in (
        ("y.npy", None, ("9", "10")),
        ("y.npz?array=y", None, ("9", "10")),
        ("y", "y.npz", ("9", "10")),
        ("texts.npy", None, ("a", "b")),
        ("t.csv?column=kind", None, ("a", "b")),
        ("kind", "t.csv", ("a", "b")),
    ):
        found = read_labels(text, beside)
        assert found.classes == classes and found.y.tolist() == [1, 0, 1, 0], text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(4), "all the same"),
        (np.array([0, np.nan, 1, 1]), "1 missing label"),
        (np.eye(4), "expected one for each row"),
        (np.linspace(0, 1, 40), "looks like a quantity"),
        (np.arange(40), "looks like an identifier"),
    ],
)
def test_bad_labels(values, message):
    np.save("y.npy", values)
    with pytest.raises(InputError, match=message):
        read_labels("y.npy")


def test_labels_that_are_nowhere():
    np.savez("a.npz", x=X, y=np.arange(4))
    with pytest.raises(
        InputError, match=r"--labels z: there is no such file, and a.npz has no array 'z' \(it has x, y\)"
    ):
        read_labels("z", "a.npz")
    with pytest.raises(InputError, match=r"a\.npz has 2 arrays; say which holds the labels: a.npz.array=x"):
        read_labels("a.npz")
    with pytest.raises(InputError, match=r"file not found: z\.npy"):
        read_labels("z.npy")


def test_heads():
    np.savez("head.npz", weight=np.ones((2, 3)), bias=np.zeros(2))
    np.save("weight.npy", np.ones((2, 3)))
    assert read_head("head.npz").bias.tolist() == [0, 0] and read_head("weight.npy").bias is None
    np.savez("other.npz", w=np.ones((2, 3)), b=np.zeros(2))
    with pytest.raises(InputError, match=r"unknown array of other\.npz 'weight'"):
        read_head("other.npz")
