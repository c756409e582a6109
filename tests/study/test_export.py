"""A store as a table: every trial a row, every entry a column, the same from Parquet and from CSV."""

import json

import numpy as np
import pandas as pd
import pytest

from farfield.errors import InputError
from farfield.study import Store, Trial, run
from farfield.study.export import export, flatten
from farfield.study.owner import Owner


def work(point, seed):
    if point["method"] == "bad":
        raise InputError("no, and\na second line")
    return {"accuracy": {"iid": 0.5 + seed, "v1.2": 1.0}, "curve": [1, 2], "steps": seed, "weights": np.arange(2)}


@pytest.fixture
def filled(tmp_path):
    store = Store.in_folder(tmp_path)
    # Points need not agree in what they have, nor in its type.
    points = [{"method": "erm", "depth": 3}, {"method": "sam", "depth": "auto", "rho": 0.05}, {"method": "bad"}]
    list(run(work, [Trial("a", p, s) for p in points for s in (0, 1)], store, provenance={"version": "9.1.0"}))
    list(run(work, [Trial("b", {"method": "erm"}, 5)], store))
    yield store
    store.close()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_every_trial_is_a_row(filled, tmp_path, ending):
    path = tmp_path / f"out.{ending}"
    assert export(filled, path) == 7
    table = pd.read_parquet(path) if ending == "parquet" else pd.read_csv(path)
    assert len(table) == 7
    row = table[(table["point.method"] == "sam") & (table["seed"] == 1)].iloc[0]
    assert row["result.accuracy.iid"] == 1.5 and row['result.accuracy."v1.2"'] == 1.0
    assert json.loads(row["result.curve"]) == [1, 2] and row["point.rho"] == 0.05 and row["point.depth"] == "auto"
    assert row["result.weights"].endswith(".safetensors")
    assert (row["state"], row["attempts"], row["study"], row["version"]) == ("done", 1, "a", "9.1.0")
    bad = table[table["point.method"] == "bad"]
    assert list(bad["error"]) == ["no, and\na second line"] * 2 and bad["result.accuracy.iid"].isna().all()
    assert set(table["point.depth"].dropna()) == {"3", "auto"}
    if ending == "parquet":
        assert table["result.steps"].dtype == "float64" and table["seed"].dtype == "int64"


def test_filters_and_states(filled, tmp_path):
    assert export(filled, tmp_path / "a.csv", study="b") == 1
    assert export(filled, tmp_path / "a.csv", state="failed") == 2
    with Owner(filled) as owner:
        owner.claim(Trial("c", {"method": "erm"}, 0), None, provenance={})
        assert export(filled, tmp_path / "a.csv", state="running") == 1
        assert export(filled, tmp_path / "a.csv", state="interrupted") == 0
    assert export(filled, tmp_path / "none.parquet", study="nothing") == 0
    assert list(pd.read_parquet(tmp_path / "none.parquet").columns)[:3] == ["key", "study", "seed"]


def test_bad_input_writes_nothing(filled, tmp_path):
    with pytest.raises(InputError, match=r"must end in \.parquet or \.csv"):
        export(filled, tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="the state is 'lost'"):
        export(filled, tmp_path / "a.csv", state="lost")
    assert not list(tmp_path.glob("a.*"))


def test_two_entries_never_share_a_column():
    assert len(flatten({"a.b": 1, "a": {"b": 2}})) == 2
