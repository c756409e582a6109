"""Trials in MLflow (a real database) and Weights & Biases (its real client, offline): all of them, once each."""

import importlib.util
import sys
import warnings

import numpy as np
import pytest

from farfield.errors import InputError, MissingExtra
from farfield.study import Store, Trial, run
from farfield.study.track import mirrored

# The clients warn about themselves.
pytestmark = pytest.mark.filterwarnings("default")


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs {package}: pip install 'farfield[track]'")


def work(point, seed):
    if point["method"] == "bad":
        raise InputError("it was asked to fail")
    return {"accuracy": {"iid": 0.5 + seed, "rotation 75°": 0.25}, "curve": [1, 2], "weights": np.arange(2)}


TODO = [Trial("demo", {"method": m, "deep": {"rho": 0.1}}, s) for m in ("erm", "bad") for s in (0, 1)]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    store = Store.in_folder(tmp_path)
    yield store
    store.close()


@needs("mlflow")
def test_mlflow_has_each_trial_once_also_after_an_interruption(store):
    from mlflow.tracking import MlflowClient

    stream = mirrored(run(work, TODO, store), "mlflow", study="demo")
    next(stream), next(stream)
    # Stopped here; closing it stops the trials too.
    stream.close()
    assert len(store.records()) == 2
    # One trial ends without the tracker: it is mirrored later.
    list(run(work, TODO[:3], store))
    outcomes = list(mirrored(run(work, TODO, store), "mlflow", study="demo"))
    assert len(outcomes) == 4

    client = MlflowClient()
    experiment = client.get_experiment_by_name("farfield/demo").experiment_id
    runs = client.search_runs([experiment])
    by_key = {r.data.tags["farfield.key"]: r for r in runs}
    assert len(runs) == 4 and set(by_key) == {t.key for t in TODO}
    done, failed = by_key[TODO[1].key], by_key[TODO[3].key]
    assert done.info.status == "FINISHED" and done.data.params == {"seed": "1", "method": "erm", "deep.rho": "0.1"}
    assert done.data.metrics["result.accuracy.iid"] == 1.5 and done.data.metrics["result.accuracy.rotation 75_"] == 0.25
    assert failed.info.status == "FAILED" and failed.data.tags["farfield.error"] == "it was asked to fail"
    assert [f.path for f in client.list_artifacts(done.info.run_id)] == ["result.json"]


@needs("mlflow")
def test_a_trial_that_failed_and_then_was_done_is_mirrored_again(store):
    from mlflow.tracking import MlflowClient

    bad = TODO[2:3]
    list(mirrored(run(work, bad, store), "mlflow", study="demo"))
    again = run(lambda point, seed: {"value": 1}, bad, store, retry_failed=True)
    list(mirrored(again, "mlflow", study="demo"))
    client = MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name("farfield/demo").experiment_id])
    assert sorted(r.info.status for r in runs) == ["FAILED", "FINISHED"]


@needs("mlflow")
def test_a_tracker_that_fails_in_the_middle_does_not_stop_the_trials(store, tmp_path):
    stream = mirrored(run(work, TODO, store), "mlflow", study="demo")
    next(stream)
    # Its database is gone from now on: a folder stands in its place.
    for file in tmp_path.glob("mlflow.db*"):
        file.unlink()
    (tmp_path / "mlflow.db").mkdir()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()
    with pytest.warns(RuntimeWarning, match="mirroring to mlflow stopped at trial"):
        rest = list(stream)
    assert len(rest) == 3 and [r.state for r in store.records()] == ["done", "done", "failed", "failed"]


@needs("mlflow")
def test_an_mlflow_that_cannot_be_used_is_named_before_any_trial(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nosuchscheme://here")
    with pytest.raises(InputError, match="MLflow cannot be used"):
        mirrored(run(work, TODO, store), "mlflow", study="demo")
    assert store.records() == []


@needs("wandb")
def test_wandb_offline_has_each_trial_once(store, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    import wandb

    wandb.teardown()
    list(mirrored(run(work, TODO[1:3], store), "wandb", study="demo"))
    list(mirrored(run(work, TODO[1:3], store), "wandb", study="demo"))
    files = {path.name for path in tmp_path.glob("wandb/offline-run-*/*.wandb")}
    wandb.teardown()
    assert files == {f"run-{TODO[1].key}.wandb", f"run-{TODO[2].key}f.wandb"}
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 2


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_named(store, monkeypatch, tracker):
    for module in [m for m in sys.modules if m.partition(".")[0] == tracker]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, tracker, None)
    with warnings.catch_warnings(), pytest.raises(MissingExtra, match=r"farfield\[track\]"):
        mirrored(run(work, TODO, store), tracker, study="demo")
