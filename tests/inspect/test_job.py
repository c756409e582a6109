"""The whole inspection: its numbers are those of the measures, nothing is ever NaN, and what does not apply is said."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.inspect import inspect
from farfield.measure import (
    cca,
    dimension_estimate,
    hubness,
    knn_accuracy,
    linear_cka,
    linear_probe,
    procrustes_distance,
    spectrum,
)


@pytest.fixture(scope="module")
def data():
    """Four classes in 12 columns, and a rotated copy with noise."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % 4
    a = rng.normal(size=(240, 12)) + 4 * np.eye(12)[y]
    b = a @ np.linalg.qr(rng.normal(size=(12, 12)))[0] + 0.1 * rng.normal(size=(240, 12))
    return a, b, y


@pytest.fixture(scope="module")
def found(data):
    a, b, y = data
    return inspect({"a": a, "b": b}, labels=y)


def value(found, measure, representation="a", against=None):
    (number,) = [
        n
        for n in found.results["numbers"]
        if (n["measure"], n["representation"], n["against"]) == (measure, representation, against)
    ]
    return number["value"]


def test_numbers_are_those_of_the_measures(data, found):
    a, b, y = data
    assert value(found, "participation_ratio") == pytest.approx(spectrum(a).participation_ratio)
    assert value(found, "dimension_twonn") == pytest.approx(dimension_estimate(a, "twonn").value)
    assert value(found, "hub_skewness") == pytest.approx(hubness(a).skewness)
    assert value(found, "linear_probe") == linear_probe(a, y).value
    assert value(found, "knn_accuracy") == knn_accuracy(a, y).value
    assert value(found, "linear_cka", against="b") == pytest.approx(linear_cka(a, b))
    assert value(found, "cca", against="b") == pytest.approx(cca(a, b))
    assert value(found, "procrustes", against="b") == pytest.approx(procrustes_distance(a, b))


def test_a_rotation_agrees_far_above_chance(found):
    pairs = {n["measure"]: n for n in found.results["numbers"] if n["against"] == "b"}
    for measure in (
        "linear_cka",
        "cca",
        "rsa",
        "rsa_topology",
        "relative_similarity",
        "retrieval",
        "neighbours_shared",
    ):
        assert pairs[measure]["value"] > 0.8 and pairs[measure]["chance"] < 0.2, measure
    assert pairs["procrustes"]["value"] < 0.1 and pairs["procrustes"]["chance"] > 1
    # Single units do not survive a rotation.
    assert pairs["matching_one_to_one"]["value"] < 0.7


def test_collapse_numbers_by_hand(data, found):
    a, _, y = data
    means = np.stack([a[y == c].mean(0) for c in range(4)])
    variances = [((a[y == c] - means[c]) ** 2).sum(1).mean() for c in range(4)]
    ratio = [
        (variances[i] + variances[j]) / (2 * ((means[i] - means[j]) ** 2).sum())
        for i in range(4)
        for j in range(4)
        if i != j
    ]
    assert value(found, "cdnv") == pytest.approx(np.mean(ratio))
    centred = means - means.mean(0)
    norms = np.linalg.norm(centred, axis=1)
    assert value(found, "norms_cv") == pytest.approx(norms.std() / norms.mean())


def test_the_head_gives_nc3_and_nc4(data):
    a, _, y = data
    means = np.stack([a[y == c].mean(0) for c in range(4)])
    found = inspect({"a": a}, labels=y, head=(means - means.mean(0), None))
    assert value(found, "dual_cosine") == pytest.approx(1)
    assert value(found, "ncc_agreement") > 0.9
    two = inspect({"a": a, "b": a[:, ::-1]}, labels=y, head=(means, None))
    assert {n["representation"] for n in two.results["numbers"] if n["measure"] == "dual_cosine"} == {"a"}
    without = inspect({"a": a}, labels=y)
    assert any(s["what"] == "NC3 and NC4" for s in without.results["skipped"])


def test_against_is_only_compared(data):
    a, b, _ = data
    found = inspect({"a": a}, against={"b": b})
    assert {n["representation"] for n in found.results["numbers"]} == {"a"}
    assert value(found, "linear_cka", against="b") > 0.9
    assert [r["only_compared"] for r in found.results["representations"]] == [False, True]


def test_the_sample_is_drawn_by_the_seed_and_said(data):
    a, b, y = data
    runs = [inspect({"a": a, "b": b}, labels=y, sample=100, seed=seed).results for seed in (0, 0, 1)]
    assert runs[0]["numbers"] == runs[1]["numbers"] != runs[2]["numbers"]
    assert "rest on 100 of the 240 rows, drawn with seed 0" in runs[0]["notes"][0]
    rows = {n["measure"]: n["rows"] for n in runs[0]["numbers"] if n["representation"] == "a"}
    assert rows["linear_cka"] == rows["linear_probe"] == 100 and rows["cdnv"] == rows["participation_ratio"] == 240


def test_the_table_is_a_data_frame_with_words(found):
    table = found.table
    assert isinstance(table, pd.DataFrame) and len(table) == len(found.results["numbers"])
    assert table["meaning"].str.len().min() > 0 and set(table["representation"]) == {"a", "b", "labels"}


def test_files_and_arrays_give_the_same(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b, y = data
    frame = pd.DataFrame(a, columns=[f"c{i}" for i in range(12)]).assign(kind=np.array(list("wxyz"))[y])
    frame.to_parquet("t.parquet")
    np.save("b.npy", b)
    from_files = inspect("t.parquet", labels="kind", against="b.npy", out="o")
    arrays = inspect({"t.parquet": a}, labels=np.array(list("wxyz"))[y], against={"b.npy": b})
    assert from_files.results["numbers"] == arrays.results["numbers"]
    kept = json.loads((tmp_path / "o" / "inspect.json").read_text())
    assert kept["numbers"] == from_files.results["numbers"] and kept["labels"]["classes"] == list("wxyz")
    assert len(pd.read_csv(tmp_path / "o" / "inspect.csv")) == len(kept["numbers"])


def test_memory_mapped_half_precision_is_read_in_pieces(data, tmp_path, monkeypatch):
    from farfield.inspect import scan

    a, _, y = data
    np.save(tmp_path / "a.npy", a.astype("float16"))
    monkeypatch.setattr(scan, "VALUES", 12 * 7)
    pieces = inspect(tmp_path / "a.npy", labels=y)
    whole = inspect({"a.npy": a.astype("float16").astype("float64")}, labels=y)
    for n in whole.results["numbers"]:
        got = value(pieces, n["measure"], n["representation"])
        assert got == pytest.approx(n["value"], rel=1e-5, abs=1e-5), n["measure"]


def test_layers_are_told_across_models():
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=(80, 5)) for _ in range(3)]

    def model(seed):
        r = np.random.default_rng(seed)
        return {
            f"l{i}": x @ np.linalg.qr(r.normal(size=(5, 5)))[0] + 0.05 * r.normal(size=x.shape)
            for i, x in enumerate(layers)
        }

    found = inspect(*[_saved(model(seed)) for seed in range(3)])
    told = [n for n in found.results["numbers"] if n["measure"] == "identification"]
    assert told[0]["value"] == 1 and told[0]["chance"] == pytest.approx(1 / 3)
    assert {"l", "u", "accuracy", "best"} <= set(next(iter(found.results["curves"]["windows"].values())))


def _saved(arrays):
    import tempfile
    from pathlib import Path

    path = Path(tempfile.mkdtemp()) / "layers.npz"
    np.savez(path, **arrays)
    return path


def finite(results):
    json.dumps(results, allow_nan=False)
    return True


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.integers(0, 10**6))
def test_nothing_is_ever_nan(n, d, e, levels, seed):
    """Few rows, copies, constant columns, more columns than rows, tiny classes: numbers, or a sentence."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, levels + 1, size=(n, d)).astype(float), rng.normal(size=(n, e))
    y = rng.integers(0, 3, size=n)
    try:
        found = inspect({"a": a, "b": b}, labels=y)
    except InputError as error:
        assert "the same" in str(error) or "identifier" in str(error)
        return
    assert finite(found.results)
    assert {"rows", "participation_ratio"} <= {n["measure"] for n in found.results["numbers"]}


def test_two_rows_give_what_two_rows_can():
    found = inspect({"a": np.array([[0.0, 1.0], [1.0, 0.0]])})
    assert value(found, "participation_ratio") == pytest.approx(1)
    assert {s["what"] for s in found.results["skipped"]} >= {"the intrinsic dimension (MLE)"}


def test_classes_of_one_row_are_left_out_of_collapse_and_probe(data):
    a, _, y = data
    y = y.copy()
    y[0] = 7
    found = inspect({"a": a}, labels=y)
    assert any("1 classes have one row only" in s["why"] for s in found.results["skipped"])
    number = next(n for n in found.results["numbers"] if n["measure"] == "linear_probe")
    assert number["rows"] == 239


def test_equal_rows_with_different_labels_make_the_task_impossible_and_that_is_said(data):
    a, _, y = data
    a = a.copy()
    a[1] = a[0]
    found = inspect({"a": a}, labels=y)
    reasons = [s["why"] for s in found.results["skipped"] if s["what"] == "the difficulty of the task"]
    assert len(reasons) == 1 and "equal" in reasons[0]


def test_many_columns_take_other_ways(monkeypatch, data):
    from farfield.inspect import alone, classes, pairs

    for module in (alone, classes, pairs):
        monkeypatch.setattr(module, "MOST_COLUMNS", 5)
    a, b, y = data
    found = inspect({"a": a, "b": b}, labels=y, sample=100)
    rows = {n["measure"]: n["rows"] for n in found.results["numbers"]}
    assert rows["participation_ratio"] == 100 and "nc1" not in rows and "cca" not in rows
    assert {"CCA", "unit matching", "NC1 by covariances"} <= {s["what"] for s in found.results["skipped"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "there is nothing to inspect"),
        ({"embeddings": [np.eye(3)], "sample": 5}, "sample is 5; it must be at least 10"),
        ({"embeddings": [np.eye(3), np.eye(4)]}, "embeddings 1 has 3 rows but embeddings 2 has 4"),
        ({"embeddings": [np.eye(3)], "labels": [0, 1]}, "has 3 rows but the labels in labels are 2"),
        ({"embeddings": [np.eye(3)], "labels": [1, 1, 1]}, "all the same"),
        ({"embeddings": [np.full((3, 2), np.nan)]}, "not finite, first in row 0"),
        ({"embeddings": [np.ones((3, 2))]}, "all rows of embeddings 1 are the same"),
        ({"embeddings": [np.eye(4)], "labels": [0, 1, 0, 1], "head": (np.eye(3), None)}, r"shape \(3, 3\); .* needs \(2, 4\)"),
        ({"embeddings": [np.eye(4)], "labels": [0, 1, 0, 1], "head": (np.ones((2, 4)), np.ones(3))}, r"bias .* shape \(3,\)"),
        ({"embeddings": [np.eye(4)], "head": (np.eye(4), None)}, "a head needs labels"),
        ({"embeddings": [np.eye(4)], "data": "digits/noise"}, "data is for a model"),
        ({"embeddings": [np.eye(4)], "model": "cnn", "data": "digits/noise"}, "embeddings or a model, not both"),
        ({"model": "cnn"}, "a model needs data"),
        ({"embeddings": [{str(i): np.eye(4) for i in range(41)}]}, "41 representations are too many"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_any_measure(arguments, message):
    embeddings = arguments.pop("embeddings", [])
    with pytest.raises(InputError, match=message):
        inspect(*embeddings, **arguments)


def test_a_sample_that_does_not_fit_in_memory_is_refused(monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    with pytest.raises(InputError, match="give a smaller sample"):
        inspect(torch.randn(50, 50, generator=torch.Generator().manual_seed(0)))


def test_equal_names_become_different(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3))
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", x)
    found = inspect(tmp_path / "one" / "a.npy", tmp_path / "two" / "a.npy")
    names = [r["name"] for r in found.results["representations"]]
    assert len(set(names)) == 2 and all(name.endswith("a.npy") for name in names)
    again = inspect({"a": x}, {"a": x})
    assert [r["name"] for r in again.results["representations"]] == ["a (1)", "a (2)"]
