"""`farfield shrink` and `farfield apply` through the real command line: what they print, what they write, how they
refuse."""

import json

import numpy as np
import pandas as pd
import pytest

FILES = {"adapter.safetensors", "adapter.onnx", "report.html", "shrink.json", "curve.csv"}


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(200) % 4
    x = rng.normal(size=(200, 12)).astype("float32")
    x[:, 8:] += 2 * np.eye(4)[y]
    np.save(tmp_path / "emb.npy", x)
    np.save(tmp_path / "y.npy", y)
    pd.DataFrame({"a": np.arange(0, 200, 2), "b": np.arange(1, 200, 2)}).to_csv(tmp_path / "pairs.csv", index=False)
    return x


def test_shrink_then_apply(farfield, files, tmp_path):
    pytest.importorskip("onnxruntime")
    code, out, _ = farfield("shrink", "emb.npy", "--dims", "2,4", "--labels", "y.npy", "--steps", "30", columns=200)
    assert code == 0 and "tell the class of" in out and "100 million vectors" in out
    folder = tmp_path / "farfield-shrink"
    assert {p.name for p in folder.iterdir()} == FILES
    results = json.loads((folder / "shrink.json").read_text())
    assert results["command"] == "farfield shrink emb.npy --dims 2,4 --labels y.npy --steps 30"
    curve = pd.read_csv(folder / "curve.csv")
    assert set(curve["way"]) == {"learned", "pca", "prefix", "random"} and set(curve["columns"]) == {2, 4}
    assert set(curve["measure"]) == {"neighbours", "accuracy", "map"} and (curve["low"] <= curve["high"]).all()

    code, out, _ = farfield("apply", folder / "adapter.safetensors", "emb.npy", "--dims", "2", "--out", "small.npy")
    assert code == 0 and out.startswith("200 rows of 2 columns: ")
    small = np.load("small.npy")
    np.testing.assert_allclose(np.linalg.norm(small, axis=1), 1, atol=1e-5)
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "adapter.onnx", providers=["CPUExecutionProvider"])
    (whole,) = session.run(None, {"embeddings": files})
    prefix = whole[:, :2] / np.linalg.norm(whole[:, :2], axis=1, keepdims=True)
    np.testing.assert_allclose(small, prefix, atol=1e-5)


def test_pairs_json_and_nothing_else(farfield, files):
    code, out, err = farfield(
        "shrink", "emb.npy", "--dims", "4", "--pairs", "pairs.csv", "--steps", "5", "--json", "--method", "pca"
    )
    results = json.loads(out)
    assert code == 0 and err == "" and results["goal"] == "pairs" and results["method"] == "pca"
    assert {row["measure"] for row in results["curve"]} == {"neighbours", "pairs"}


def test_apply_says_what_it_did_as_json(farfield, files):
    farfield("shrink", "emb.npy", "--dims", "3", "--steps", "1", "--model", "mine")
    adapter = "farfield-shrink/adapter.safetensors"
    code, out, err = farfield("apply", adapter, "emb.npy", "--out", "s.npy", "--json")
    assert code == 0 and err == "" and json.loads(out) == {"rows": 200, "columns": 3, "bytes": 200 * 3 * 4 + 128}


def test_without_onnx_the_rest_is_there_and_the_output_says_so(farfield, files, tmp_path, monkeypatch):
    import sys

    # As where the package is absent: the import fails.
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, out, _ = farfield("shrink", "emb.npy", "--dims", "3", "--steps", "1", columns=200)
    assert code == 0 and "adapter.onnx was not written" in out and "farfield[search]" in out
    assert {p.name for p in (tmp_path / "farfield-shrink").iterdir()} == FILES - {"adapter.onnx"}


def spoil(name):
    x = np.load("emb.npy")
    if name == "nan":
        x[7, 1] = np.nan
    elif name == "zeros":
        x[9] = 0
    elif name == "few":
        x = x[:50]
    elif name == "labels":
        np.save("y.npy", np.load("y.npy")[:-1])
    elif name == "pairs":
        pd.DataFrame({"a": [0], "b": [200]}).to_csv("pairs.csv", index=False)
    elif name == "chain":
        pd.DataFrame({"a": np.arange(199), "b": np.arange(1, 200)}).to_csv("pairs.csv", index=False)
    np.save("emb.npy", x)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("nan", [], "emb.npy holds a value that is not finite, first in row 7"),
        ("zeros", [], "emb.npy holds a row of zeros, which has no direction for cosine, first row 9; leave such rows out"),
        ("few", [], "emb.npy has 50 rows; at least 100 are needed"),
        ("", ["--dims", "2,13"], "dims is [2, 13]; the vectors have 12 dimensions, so each must be from 1 to 12"),
        ("", ["--dims", "2;4"], "dims is '2;4'; expected whole numbers with commas between, such as 16,32,64"),
        ("", ["--dims", "4", "--steps", "0"], "steps is 0; it must be at least 1"),
        ("", ["--method", "best"], "method is 'best'; expected 'learned' or 'pca'"),
        ("", ["--labels", "y.npy", "--pairs", "pairs.csv"], "labels and pairs were both given; an adapter learns by one of them"),
        ("labels", ["--labels", "y.npy"], "emb.npy has 200 rows but the labels in y.npy are 199; expected one for each row"),
        ("pairs", ["--pairs", "pairs.csv"], "pairs.csv names row 200 in pair 1, which is missing in emb.npy: its rows are 0 to 199"),
        ("chain", ["--pairs", "pairs.csv"], "the pairs join 200 rows into 1 group; more groups are needed, so that some can be held out"),
    ],
)  # fmt: skip
def test_what_shrink_refuses(farfield, files, tmp_path, name, arguments, sentence):
    spoil(name)
    code, out, err = farfield("shrink", "emb.npy", *arguments)
    assert code == 2 and out == "" and err == f"farfield: {sentence}\n"
    assert not (tmp_path / "farfield-shrink").exists()


def test_what_apply_refuses(farfield, files, tmp_path):
    farfield("shrink", "emb.npy", "--dims", "3", "--steps", "1", "--model", "mine")
    adapter = "farfield-shrink/adapter.safetensors"
    np.save("narrow.npy", files[:, :11])
    broken = files.copy()
    broken[100] = np.nan
    np.save("broken.npy", broken)
    for arguments, sentence in [
        (["narrow.npy"], "narrow.npy has 11 columns but the adapter was made for 12: it is of another model"),
        (
            ["emb.npy", "--model", "other"],
            "the adapter was made for embeddings of mine, but emb.npy is said to hold those of other",
        ),
        (["emb.npy", "--dims", "4"], "the adapter gives 3 dimensions; 4 is not from 1 to 3"),
        (["broken.npy"], "broken.npy holds a value that is not finite, first in row 100"),
        (["absent.npy"], "file not found: absent.npy"),
    ]:
        code, _, err = farfield("apply", adapter, *arguments, "--out", "s.npy")
        assert code == 2 and err.strip().endswith(sentence), err
        assert not [p for p in tmp_path.iterdir() if "s.npy" in p.name]
    code, _, err = farfield("apply", adapter, "emb.npy", "--out", "emb.npy")
    assert code == 2 and "emb.npy is the file that is read" in err and np.array_equal(np.load("emb.npy"), files)
