"""Reading embeddings and labels: every format gives the same rows, and every broken file one clear sentence."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from farfield.errors import InputError
from farfield.inspect import read_representations
from farfield.inspect.read import from_array
from farfield.measure import activations

X = np.arange(12, dtype=np.float32).reshape(4, 3) / 7


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(path):
    (only,) = read_representations(path)
    return only.rows.double().numpy()


def test_every_format_gives_the_same_rows():
    np.save("a.npy", X)
    np.save("fortran.npy", np.asfortranarray(X))
    np.savez("a.npz", x=X)
    np.savez_compressed("b.npz", x=X, y=np.arange(4))
    save_file({"x": torch.from_numpy(X)}, "a.safetensors")
    frame = pd.DataFrame(X, columns=["c0", "c1", "c2"])
    frame.to_csv("a.csv", index=False)
    frame.to_csv("a.tsv", index=False, sep="\t")
    frame.to_csv("semicolon.csv", index=False, sep=";")
    frame.to_parquet("a.parquet")
    pd.DataFrame({"id": list("abcd"), "embedding": list(X)}).to_parquet("lists.parquet")
    activations(torch.nn.Identity(), torch.from_numpy(X), "", out="folder", progress=False)
    for path in ("a.npy", "fortran.npy", "a.npz", "b.npz", "a.safetensors", "a.csv", "a.tsv", "semicolon.csv", "a.parquet",
                 "lists.parquet", "folder"):  # fmt: skip
        np.testing.assert_allclose(rows_of(path), X, rtol=1e-6, err_msg=path)


def sparse(path, header, size):
    """Write a file whose content is a hole: it takes no place on the disk and reads as zeros."""
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + size)


def test_files_larger_than_memory_are_mapped_and_not_read():
    n, d = 4 * 10**8, 1000  # 1.6 TB
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (n, d)})
    sparse("large.npy", head.getvalue(), 4 * n * d)
    entry = json.dumps({"x": {"dtype": "F32", "shape": [n, d], "data_offsets": [0, 4 * n * d]}}).encode()
    entry = entry.ljust(-(-len(entry) // 8) * 8)
    sparse("large.safetensors", struct.pack("<Q", len(entry)) + entry, 4 * n * d)
    for path in ("large.npy", "large.safetensors"):
        (large,) = read_representations(path)
        assert tuple(large.rows.shape) == (n, d) and float(large.rows[-1].sum()) == 0


def test_more_axes_are_flattened_and_said():
    np.save("maps.npy", np.zeros((5, 2, 3)))
    (found,) = read_representations("maps.npy")
    assert tuple(found.rows.shape) == (5, 6) and "(2, 3) were flattened" in found.notes[0]
    np.save("one.npy", np.arange(5))
    assert rows_of("one.npy").shape == (5, 1)


def test_several_arrays_are_several_representations():
    np.savez("layers.npz", first=X, second=2 * X, y=np.arange(4))
    found = read_representations("layers.npz")
    assert [(r.name, r.part) for r in found] == [("layers.npz/first", "first"), ("layers.npz/second", "second")]
    assert "'y' has no columns and was left out" in found[0].notes[0]
    np.testing.assert_array_equal(rows_of("layers.npz?array=second"), 2 * X)


def test_columns_of_a_table():
    pd.DataFrame({"name": list("abcd"), "u": X[:, 0], "v": X[:, 1], "y": [0, 1, 0, 1]}).to_csv("t.csv", index=False)
    (found,) = read_representations("t.csv", without=["y"])
    assert tuple(found.rows.shape) == (4, 2) and "left out: name" in found.notes[0]
    np.testing.assert_allclose(rows_of("t.csv?columns=v,u"), X[:, [1, 0]], rtol=1e-6)


def test_other_number_types():
    for dtype in ("float16", "int8", "uint16", "bool", ">f4"):
        np.save("t.npy", X.round().astype(dtype))
        np.testing.assert_array_equal(rows_of("t.npy"), X.round().astype(dtype).astype(float))
    save_file({"x": torch.ones(3, 2, dtype=torch.bfloat16)}, "half.safetensors")
    assert rows_of("half.safetensors").tolist() == np.ones((3, 2)).tolist()


def spoil(path, content=b"no array"):
    with open(path, "wb") as file:
        file.write(content)


def cut(path):
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(100, 10)))
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 50] = bytes(50)
    spoil(path, bytes(content))


@pytest.mark.parametrize(
    ("path", "make", "message"),
    [
        ("nowhere.npy", lambda p: None, "file not found: nowhere.npy"),
        ("a.txt", spoil, r"ends in .txt; expected .npy, .npz"),
        ("empty.npy", lambda p: spoil(p, b""), "empty.npy is empty"),
        ("broken.npy", spoil, "broken.npy cannot be read"),
        ("broken.npz", spoil, "broken.npz cannot be read"),
        ("cut.npz", cut, "cut.npz cannot be read"),
        ("broken.safetensors", spoil, "broken.safetensors cannot be read"),
        ("broken.parquet", spoil, "broken.parquet cannot be read"),
        ("objects.npy", lambda p: np.save(p, np.array([{}, 1], dtype=object)), "never unpickled"),
        ("texts.npy", lambda p: np.save(p, np.array(["a", "b"])), "holds <U1 values; expected numbers"),
        ("complex.npy", lambda p: np.save(p, np.ones((2, 2), complex)), "complex"),
        ("one.npy", lambda p: np.save(p, np.ones((1, 3))), "has 1 row; at least 2"),
        ("none.npy", lambda p: np.save(p, np.ones((3, 0))), r"has shape \(3, 0\)"),
        ("a.npz?array=z", lambda p: np.savez("a.npz", x=X, y=X), "unknown array of a.npz 'z'"),
        ("a.npz?colour=z", lambda p: np.savez("a.npz", x=X), "unknown option"),
        ("words.csv", lambda p: pd.DataFrame({"a": ["x", "y"]}).to_csv(p, index=False), "no column of numbers"),
        ("gaps.csv", lambda p: pd.DataFrame({"a": [1.0, None]}).to_csv(p, index=False), "missing number in column 'a', first in row 2"),
        ("t.csv?columns=q", lambda p: pd.DataFrame({"a": [1, 2]}).to_csv("t.csv", index=False), "no column 'q'"),
        ("bare.csv", lambda p: np.savetxt(p, X, delimiter=","), "the first row of bare.csv is numbers"),
        ("ragged.parquet", lambda p: pd.DataFrame({"e": [[1.0], [1.0, 2.0]]}).to_parquet(p), "different lengths: 1 in row 1, 2 in row 2"),
        ("place", lambda p: __import__("os").mkdir(p), "folder without activations.json"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(path, make, message):
    make(path)
    with pytest.raises(InputError, match=message):
        read_representations(path)


def test_an_archive_that_does_not_fit_is_refused_before_it_is_read(monkeypatch):
    import psutil

    np.savez_compressed("a.npz", x=np.zeros((1000, 1000)))
    small = type("Memory", (), {"available": 10**6})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: small)
    with pytest.raises(InputError, match=r"^a.npz holds 0.0 GB and 0.0 GB of memory are free; save it as .npy"):
        read_representations("a.npz")


def test_arrays_as_they_are():
    assert from_array(X[::-1], "x").rows[0].tolist() == X[-1].tolist()
    with pytest.raises(InputError, match="mine holds object values"):
        from_array(np.array([None, 1]), "mine")
