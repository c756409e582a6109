"""`farfield runs` and where `farfield compare` keeps, runs and mirrors its trials, through the real command line."""

import json

import pandas as pd
import pytest

from farfield.study import Store, Trial, run
from farfield.study.owner import Owner


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def work(point, seed):
    if point["method"] == "bad":
        raise ValueError("it was asked to fail")
    return {"accuracy": 0.25 * seed}


@pytest.fixture
def filled(tmp_path):
    store = Store.in_folder(tmp_path / "farfield-compare")
    trials = [Trial(study, {"method": m}, s) for study in ("compare", "tram") for m in ("erm", "bad") for s in (1, 2)]
    list(run(work, trials, store))
    with Owner(store) as owner:
        owner.claim(Trial("compare", {"method": "slow"}, 0), None, provenance={})
        yield trials
    store.close()


def test_runs_lists_filters_and_exports(farfield, filled, tmp_path):
    code, out, _ = farfield("runs", "--json")
    rows = json.loads(out)
    assert code == 0 and len(rows) == 9
    assert all(list(row) == ["key", "study", "point", "seed", "state", "seconds", "error"] for row in rows)
    assert rows[0]["key"] == filled[0].key and rows[0]["point"] == {"method": "erm"}
    (running,) = (row for row in rows if row["state"] == "running")
    assert (running["point"], running["seconds"]) == ({"method": "slow"}, None)

    _, out, _ = farfield("runs", "--state", "failed", "--study", "tram", "--json")
    assert [(r["study"], r["seed"], r["error"]) for r in json.loads(out)] == [
        ("tram", 1, "ValueError: it was asked to fail"),
        ("tram", 2, "ValueError: it was asked to fail"),
    ]
    _, out, _ = farfield("runs")
    assert "9 trials: 4 done, 4 failed, 1 running" in out and "method=erm" in out and filled[0].key[:8] in out
    _, out, _ = farfield("runs", "--study", "none")
    assert out.strip() == "no trials"

    code, out, _ = farfield("runs", "export", "out.parquet", "--state", "done")
    assert code == 0 and "4 trials" in out
    assert sorted(pd.read_parquet("out.parquet")["result.accuracy"]) == [0.25, 0.25, 0.5, 0.5]
    code, out, _ = farfield("runs", "--study", "tram", "export", "out.csv", "--store", "farfield-compare/trials.db")
    assert code == 0 and set(pd.read_csv("out.csv")["study"]) == {"tram"}


def test_a_dead_drivers_trial_is_interrupted(farfield, filled, tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "farfield-compare" / "trials.db") as connection:
        connection.execute("DELETE FROM owners")
    connection.close()
    _, out, _ = farfield("runs", "--state", "interrupted", "--json")
    assert [(r["point"], r["state"]) for r in json.loads(out)] == [({"method": "slow"}, "interrupted")]
    assert json.loads(farfield("runs", "--state", "running", "--json")[1]) == []


def test_runs_refuses_in_one_sentence(farfield, tmp_path):
    code, _, err = farfield("runs")
    assert code == 2 and "there is no store" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "farfield-compare").exists()
    Store.in_folder(tmp_path).close()
    for arguments, sentence in [
        (("runs", "--store", ".", "--state", "lost"), "must be one of running, done, failed, interrupted"),
        (("runs", "export", "out.txt", "--store", "."), "must end in .parquet or .csv"),
        (("runs", "--store", "mysql://host/db"), "expected sqlite:///FILE or postgresql://"),
    ]:
        code, _, err = farfield(*arguments)
        assert code == 2 and sentence in err and len(err.splitlines()) == 1


QUICK = ("digits/rotation", "--methods", "erm", "--model", "linear", "--seeds", "1", "--steps", "20")


def test_compare_keeps_its_trials_where_it_is_told(farfield, tmp_path, monkeypatch):
    code, _, _ = farfield("compare", *QUICK, "--workers", "1", "--out", "a", "--store", "shared.db")
    assert code == 0 and (tmp_path / "shared.db").exists() and not (tmp_path / "a" / "trials.db").exists()
    monkeypatch.setenv("FARFIELD_STORE", "shared.db")
    # Another folder, the same store: nothing is trained again.
    code, _, _ = farfield("compare", *QUICK, "--workers", "1", "--out", "b", "--json")
    first, second = (json.loads((tmp_path / f / "results.json").read_text()) for f in "ab")
    assert code == 0 and second["trials"] == first["trials"]
    assert len(json.loads(farfield("runs", "--json")[1])) == 1


def test_compare_time_limit_and_bad_options(farfield, tmp_path):
    code, out, _ = farfield("compare", *QUICK, "--steps", "100000", "--time-limit", "0.5", "--json")
    assert "longer than its time limit of 0.5 seconds" in json.loads(out)["trials"][0]["error"]
    for arguments, sentence in [
        (("--time-limit", "0"), "time_limit is 0.0 seconds; it must be above 0"),
        (("--on", "slurm"), "expected local, ray, ray:ADDRESS"),
        (("--track", "tensorboard"), "it must be mlflow or wandb"),
    ]:
        code, _, err = farfield("compare", *QUICK, *arguments, "--out", "c")
        assert code == 2 and sentence in err
