"""The study of exact inductive bias, end to end at its smoke preset."""

import pandas as pd

from farfield.papers.inductive_bias import NETWORKS, TARGETS, laxer, study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 10
    assert claims[0]["verdict"] == "holds" and claims[0]["n"] == 2  # grows with the input dimension
    assert claims[3]["verdict"] == "holds" and claims[3]["detail"] == "checked exactly"
    names = {f.rpartition("/")[2] for f in finished.results["figures"]}
    assert names == {"spaces.svg", "dimensions.svg", "errors.svg"}
    table = {row["case"]: row for row in finished.results["table"]}
    kernel = table["kernel?sigma=1 on digits?n=300"]
    assert kernel["mean"]["mean"] > 0.5 and kernel["nats/0.02"]["mean"] > 1000 and kernel["training_error"] is None
    assert table[f"{NETWORKS[0]} on digits?n=300"]["training_error"]["mean"] > 0


def test_the_identity_fails_where_a_laxer_target_requires_more():
    rows = pd.DataFrame([{f"nats/{t}": 1 / t for t in TARGETS}, {f"nats/{t}": 0.0 for t in TARGETS}])
    assert laxer(rows)
    assert not laxer(rows.assign(**{"nats/0.1": 1e6}))
    assert not laxer(rows.iloc[:0])


def test_the_full_preset_names_tasks_and_models_that_can_be_looked_for():
    found = {need.name: need for need in needs(study, "full")}
    assert {"mnist-full", "cifar10", "omniglot", "vit", "resnet?depth=3"} <= set(found)
    assert found["vit"].state == "here"
