"""What is kept, comes back; stores are opened by name; a server that is restarted is waited for."""

import json
import os
import sqlite3
import threading

import numpy as np
import pytest

from farfield.errors import InputError
from farfield.study import Store, Trial, open_store, run


def work(point, seed):
    if point.get("fail"):
        raise InputError("it was asked to fail")
    return {"value": seed, "curve": np.arange(point["x"]), "deep": {"list": [np.ones((2, seed % 2 + 1)), "text"]}}


def test_everything_about_a_trial_comes_back(store, url, tmp_path):
    point = {"x": 3, "name": "é\0😀", "nested": {"a": [1, None, True, 0.1]}}
    trials = [Trial("demo", point, 2**40, {"data": "abc"}), Trial("demo", {"x": 1, "fail": True}, 0)]
    (done, failed) = run(work, trials[:1], store, provenance={"commit": "c"}), run(work, trials[1:], store)
    (done,), (failed,) = done, failed
    store.close()
    again = Store(url, arrays=None if url.startswith("sqlite") else tmp_path / "arrays")
    record = again.get([trials[0].key])[trials[0].key]
    assert (record.study, record.point, record.seed, record.sources) == ("demo", point, 2**40, {"data": "abc"})
    assert (record.state, record.attempts, record.provenance) == ("done", 1, {"commit": "c"})
    assert record.started <= record.finished and record.seconds >= 0 and record.host == os.uname().nodename
    assert record.result == done.result
    assert np.asarray(record.result["curve"]).tolist() == [0, 1, 2]
    record = again.get([trials[1].key])[trials[1].key]
    assert (record.state, record.error, record.result) == ("failed", "it was asked to fail", None)
    assert "in work" in record.traceback
    again.close()


def test_records_are_filtered_and_in_order(store):
    for study in ("a", "b"):
        list(run(work, [Trial(study, {"x": 1}, s) for s in range(3)], store))
        list(run(work, [Trial(study, {"x": 1, "fail": True}, 9)], store))
    assert [(r.study, r.seed) for r in store.records()] == [(s, x) for s in "ab" for x in (0, 1, 2, 9)]
    assert [r.seed for r in store.records(study="b", state="done")] == [0, 1, 2]
    assert [(r.study, r.seed) for r in store.records(state="failed")] == [("a", 9), ("b", 9)]
    assert store.records(study="c") == []
    with pytest.raises(InputError, match="the state is 'lost'; it must be one of running, done, failed"):
        store.records(state="lost")


def test_more_keys_than_one_statement_takes(store):
    trials = [Trial("demo", {"x": 0}, seed) for seed in range(1203)]
    list(run(lambda point, seed: {"value": seed}, trials, store))
    found = store.get([t.key for t in trials] + ["absent"])
    assert [found[t.key].result for t in trials] == [{"value": t.seed} for t in trials] and len(found) == 1203


def test_opened_by_many_at_once(url):
    stores, errors = [], []

    def open_one():
        try:
            stores.append(Store(url))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for opened in stores:
        opened.close()
    assert not errors and len(stores) == 8


def test_a_server_that_restarts_in_the_middle_costs_nothing(postgresql, postgresql_url):
    _, stop, start = postgresql
    store = Store(postgresql_url)

    def restarting(point, seed):
        if seed == 1:
            stop()
            # The trial ends, and is to be recorded, while there is no server.
            threading.Timer(1.0, start).start()
        return {"value": seed}

    outcomes = list(run(restarting, [Trial("demo", {}, seed) for seed in range(3)], store))
    assert [o.result for o in outcomes] == [{"value": 0}, {"value": 1}, {"value": 2}]
    assert [r.attempts for r in store.records()] == [1, 1, 1]
    store.close()


def test_readers_do_not_wait_for_a_writer(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/a.db")
    list(run(work, [Trial("demo", {"x": 1}, 0)], store))
    with sqlite3.connect(tmp_path / "a.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM trials")
        assert len(store.records()) == 1
        other.execute("ROLLBACK")
    other.close()
    store.close()


@pytest.mark.parametrize("name", ["runs.db", "folder", "run.v2", "sqlite", None])
def test_names_of_stores(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FARFIELD_STORE", raising=False)
    expected = {
        "runs.db": "runs.db",
        "folder": "folder/trials.db",
        "run.v2": "run.v2/trials.db",
        "sqlite": "deep/er/x.db",
        None: "default/trials.db",
    }
    url = f"sqlite:///{tmp_path}/deep/er/x.db" if name == "sqlite" else name
    with pytest.raises(InputError, match="there is no store"):
        open_store(url, default=tmp_path / "default", make=False)
    open_store(url, default=tmp_path / "default").close()
    assert (tmp_path / expected[name]).exists()
    open_store(url, default=tmp_path / "default", make=False).close()


def test_the_environment_names_the_store_and_the_place_of_arrays(tmp_path, monkeypatch):
    monkeypatch.setenv("FARFIELD_STORE", str(tmp_path / "env.db"))
    monkeypatch.setenv("FARFIELD_ARRAYS", str(tmp_path / "elsewhere"))
    store = open_store(None, default=tmp_path / "default")
    (outcome,) = run(work, [Trial("demo", {"x": 1}, 0)], store)
    store.close()
    assert (tmp_path / "env.db").exists() and not (tmp_path / "default").exists()
    assert len(list((tmp_path / "elsewhere").rglob("*.safetensors"))) == 1
    assert outcome.result["curve"].load().tolist() == [0]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nosuchdatabase://here", "expected sqlite:///FILE or postgresql://"),
        ("mysql://user:secret@host/db", r"'mysql://user:\*\*\*@host/db' cannot be opened"),
        ("sqlite://", "names no file"),
        ("not a url", "no database URL"),
        ("sqlite:////nosuchfolder/a.db", "unable to open database file"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", r"nobody:\*\*\*@127.* cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_named_without_its_password(url, sentence):
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg", reason="needs the extra postgres")
    with pytest.raises(InputError, match=sentence) as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "a.db").write_text(json.dumps({"not": "a database"}) * 100)
    with pytest.raises(InputError, match=r"a\.db' cannot be opened: .*not a database"):
        Store(f"sqlite:///{tmp_path}/a.db")
