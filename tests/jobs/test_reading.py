"""What the jobs read and refuse, each with one sentence."""

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.jobs.reading import drawn, first_zero_row, read_embeddings, read_pairs, same_examples, units

X = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "parquet"])
def test_all_kinds_of_files_give_the_same_rows(kind, tmp_path):
    import pandas as pd

    path = tmp_path / f"a.{kind}"
    if kind == "npy":
        np.save(path, X)
    elif kind == "npz":
        np.savez(path, a=X)
    else:
        frame = pd.DataFrame(X, columns=list("pqrs"))
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    found = read_embeddings(path, "embeddings", least=30)
    np.testing.assert_allclose(found.rows, X, rtol=1e-6)
    assert found.about["columns"] == 4 and len(found.about["fingerprint"]) == 32


def bad(name):
    x = X.copy()
    if name == "nan":
        x[7, 1] = np.nan
    elif name == "zeros":
        x[9:12] = 0
    elif name == "zero":
        x[9] = 0
    elif name == "same":
        x[:] = 1
    return x


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nan", "e holds a value that is not finite, first in row 7"),
        ("zeros", "e holds 3 rows of zeros, which have no direction for cosine, first row 9; leave such rows out"),
        ("zero", "e holds a row of zeros, which has no direction for cosine, first row 9; leave such rows out"),
        ("same", "all rows of e are the same, so there is nothing to inspect"),
    ],
)
def test_bad_rows_are_refused(name, sentence):
    with pytest.raises(InputError) as error:
        read_embeddings(bad(name), "e")
    assert str(error.value) == sentence


def test_several_arrays_need_a_choice(tmp_path):
    np.savez(tmp_path / "a.npz", old=X, new=X)
    with pytest.raises(InputError, match=r"holds 2 arrays \(.*old.*new.*\); say which: .*a.npz\?array=old"):
        read_embeddings(tmp_path / "a.npz", "e")
    assert len(read_embeddings(f"{tmp_path / 'a.npz'}?array=new", "e").rows) == 30


def test_counts_of_rows():
    with pytest.raises(InputError, match="e has 30 rows; at least 31 are needed"):
        read_embeddings(X, "e", least=31)
    a, b = read_embeddings(X, "a"), read_embeddings(X[:20], "b")
    same_examples(a, a)
    with pytest.raises(
        InputError, match="a has 30 rows but b has 20; they must be the same examples in the same order"
    ):
        same_examples(a, b)


def test_pairs_from_tables_and_arrays(tmp_path):
    a, b = read_embeddings(X, "a"), read_embeddings(X[:20], "b")
    (tmp_path / "p.csv").write_text("old,new,why\n29,19,x\n0,1,y\n")
    assert read_pairs(tmp_path / "p.csv", a, b).tolist() == [[29, 19], [0, 1]]
    np.save(tmp_path / "p.npy", np.array([[0, 0]]))
    assert read_pairs(tmp_path / "p.npy", a, b).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ([[0, 1], [2, 20]], "pairs names row 20 in pair 2, which is missing in b: its rows are 0 to 19"),
        ([[-1, 1]], "pairs names row -1 in pair 1, which is missing in a: its rows are 0 to 29"),
        ([[0.5, 1]], "pairs holds what are no whole numbers; expected row numbers, counted from 0"),
        ([[np.nan, 1]], "pairs holds what are no whole numbers; expected row numbers, counted from 0"),
        ([[0, 1, 2]], "pairs has shape (1, 3); expected pairs of row numbers (p, 2)"),
        ([], "pairs has shape (0,); expected pairs of row numbers (p, 2)"),
    ],
)
def test_bad_pairs_are_refused(pairs, sentence):
    with pytest.raises(InputError) as error:
        read_pairs(np.array(pairs), read_embeddings(X, "a"), read_embeddings(X[:20], "b"))
    assert str(error.value) == sentence


def test_a_row_is_no_partner_of_itself():
    a = read_embeddings(X, "a")
    with pytest.raises(InputError, match="pairs joins row 3 with itself"):
        read_pairs(np.array([[0, 1], [3, 3]]), a, a)


def test_draws_and_unit_rows():
    assert (
        drawn(100, 10, seed=0).tolist()
        == drawn(100, 10, seed=0).tolist()
        == sorted(set(drawn(100, 10, seed=0).tolist()))
    )
    rows = units(torch.from_numpy(X * 1e30), torch.tensor([3, 5]))
    np.testing.assert_allclose(rows, X[[3, 5]] / np.linalg.norm(X[[3, 5]], axis=1, keepdims=True), rtol=1e-5)
    assert first_zero_row(torch.from_numpy(X)) == -1
