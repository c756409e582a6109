"""`farfield inspect` through the real command line: what it prints, what it writes, and how it refuses."""

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    a = rng.normal(size=(120, 5)) + 3 * np.eye(5)[y]
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", a @ np.linalg.qr(rng.normal(size=(5, 5)))[0])
    np.save(tmp_path / "y.npy", y)
    return a, y


def test_the_example_of_its_help(farfield, files, tmp_path):
    code, out, _ = farfield("inspect", "a.npy", "--labels", "y.npy", "--against", "b.npy")
    assert code == 0
    assert "120 rows of 5 columns" in out and "agree closely" in out.replace("\n", " ") and "linear probe" in out
    folder = tmp_path / "farfield-inspect"
    assert {"report.html", "inspect.json", "inspect.csv"} == {p.name for p in folder.iterdir()}
    results = json.loads((folder / "inspect.json").read_text())
    assert results["command"] == "farfield inspect a.npy --labels y.npy --against b.npy"
    assert "farfield inspect a.npy" in (folder / "report.html").read_text()


def test_json_and_nothing_else(farfield, files):
    code, out, err = farfield("inspect", "a.npy", "b.npy", "--json", "--out", "o", "--sample", "50", "--seed", "3")
    assert code == 0 and err == ""
    assert json.loads(out)["settings"] == {"sample": 50, "seed": 3, "rows_used": 50}


def test_labels_within_the_table(farfield, files):
    a, y = files
    pd.DataFrame(a, columns=list("pqrst")).assign(kind=y).to_csv("t.csv", index=False)
    code, out, _ = farfield("inspect", "t.csv", "--labels", "kind")
    assert code == 0 and "120 rows of 5 columns" in out


def test_layers_of_a_model(farfield):
    code, out, _ = farfield(
        "inspect", "--model", "mlp?hidden=8", "--data", "digits/noise", "--layers", "head:input,head", "--json"
    )
    results = json.loads(out)
    assert code == 0 and [r["part"] for r in results["representations"]] == ["head:input", "head"]


def spoiled(name):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 4))
    y = np.arange(40) % 2
    if name == "constant column":
        x[:, 2] = 5
    elif name == "copies":
        x[20:] = x[:20]
        y[20:] = y[:20]
    elif name == "fewer points than dimensions":
        x = rng.normal(size=(40, 90))
    elif name == "a class of one":
        y[0] = 2
    elif name == "dead rows":
        x[:5] = 0
    return x, y


@pytest.mark.parametrize(
    "name", ["constant column", "copies", "fewer points than dimensions", "a class of one", "dead rows"]
)
def test_awkward_data_give_numbers_and_reasons(farfield, name):
    x, y = spoiled(name)
    np.save("x.npy", x)
    np.save("y.npy", y)
    code, out, _ = farfield("inspect", "x.npy", "--labels", "y.npy", "--against", "x.npy", "--json")
    results = json.loads(out)
    assert code == 0 and all(np.isfinite(n["value"]) for n in results["numbers"])
    numbers = {n["measure"]: n["value"] for n in results["numbers"]}
    assert numbers["linear_cka"] == pytest.approx(1)
    expected = {
        "constant column": numbers["constant_columns"] == 1,
        "copies": numbers["duplicate_rows"] == 20,
        "fewer points than dimensions": numbers["dimensions_99"] <= 39,
        "a class of one": any("one row only" in s["why"] for s in results["skipped"]),
        "dead rows": numbers["zero_rows"] == 5,
    }
    assert expected[name]


def refuse(name):
    x, y = spoiled("")
    np.save("x.npy", x)
    np.save("y.npy", y)
    if name == "nan":
        x[7, 1] = np.nan
        np.save("x.npy", x)
    if name == "rows":
        np.save("z.npy", x[:30])
    if name == "one class":
        np.save("y.npy", 0 * y)
    if name == "constant":
        np.save("x.npy", np.ones((40, 4)))
    if name == "labels":
        np.save("y.npy", y[:30])


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("nan", ["x.npy"], "x.npy holds a value that is not finite, first in row 7"),
        ("rows", ["x.npy", "z.npy"], "x.npy has 40 rows but z.npy has 30; they must be the same examples in the same order"),
        ("one class", ["x.npy", "--labels", "y.npy"], "the labels in y.npy are all the same ('0'); there is nothing to tell apart"),
        ("constant", ["x.npy"], "all rows of x.npy are the same, so there is nothing to inspect"),
        ("labels", ["x.npy", "--labels", "y.npy"], "x.npy has 40 rows but the labels in y.npy are 30; expected one for each row"),
        ("", [], "there is nothing to inspect; give embeddings, or a model and data"),
        ("", ["w.npy"], "file not found: w.npy"),
        ("", ["--model", "cnn"], "a model needs data: a task to run it on, such as digits/noise"),
        ("", ["x.npy", "--sample", "3"], "sample is 3; it must be at least 10"),
    ],
)  # fmt: skip
def test_what_it_refuses(farfield, tmp_path, name, arguments, sentence):
    refuse(name)
    code, out, err = farfield("inspect", *arguments)
    assert code == 2 and out == "" and err.strip().endswith(sentence)
    assert err.count("\n") == 1 and not (tmp_path / "farfield-inspect").exists()


def test_a_file_of_many_rows_is_read_in_pieces_and_sampled(farfield, tmp_path):
    n, d = 2 * 10**4, 1000
    rows = np.lib.format.open_memmap(tmp_path / "wide.npy", mode="w+", dtype=np.float32, shape=(n, d))
    rows[:200] = np.random.default_rng(0).normal(size=(200, d))
    rows.flush()
    code, out, _ = farfield("inspect", "wide.npy", "--sample", "500", "--json")
    numbers = {x["measure"]: x for x in json.loads(out)["numbers"]}
    assert code == 0 and numbers["zero_rows"]["value"] == n - 200 and numbers["hub_skewness"]["rows"] == 500
