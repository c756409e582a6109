"""The study of coherent gradients, end to end at its smoke preset, and on a user's data."""

import pytest

from farfield.papers.coherent_gradients import CELLS, study
from farfield.study.execute import execute, needs


def test_smoke(tmp_path):
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 16
    *measured, exact = claims
    # Two epochs on sixty examples may tell 70 or 90 % of the right labels from no look.
    assert sum(c["n"] == 2 and c["effect"] is not None for c in measured) >= 13
    assert claims[0]["effect"] > 0 and exact["verdict"] == "holds"
    names = ("coherence", "layers", "accuracy", "overfit", "winsorized", "easy-hard")
    assert finished.results["figures"] == [f"coherent-gradients/{name}.svg" for name in names]
    table = {row["cell"]: row for row in finished.results["table"]}
    assert set(table) < set(CELLS)
    assert table["sgd, 0% random"]["corrupt"] is None and table["sgd, 50% random"]["corrupt"]["mean"] >= 0


@pytest.mark.parametrize("data", ["breast-cancer", "csv:{folder}/mine.csv?target=y&domain=site"])
def test_a_users_data_takes_the_place_of_the_studys(data, tmp_path):
    rows = [f"{i % 2},{i % 2 + 0.1 * (i % 7)},{i % 11 + i / 100},{i % 3}" for i in range(300)]
    (tmp_path / "mine.csv").write_text("\n".join(["y,a,b,site", *rows]))
    replaced = {"data": [data.format(folder=tmp_path)], "cell": ["sgd, 0% random", "sgd, 100% random"]}
    finished = execute(study, preset="smoke", replaced=replaced, out=tmp_path / "out", workers=1)
    assert finished.results["failed"] == []
    verdicts = [c["verdict"] for c in finished.results["claims"]]
    assert finished.results["claims"][0]["n"] == 2
    # Cells that were left out leave their claims undecided; the exact one has nothing to check.
    assert set(verdicts[3:-1]) == {"undecided"}


def test_the_full_preset_names_its_models_and_data():
    found = {need.name: need for need in needs(study, "full")}
    assert found["resnet?width=64&depth=2"].state == "here"
    assert found["cifar10"].state in ("here", "download", "missing")
    assert any(name.startswith("hf:ILSVRC/imagenet-1k") for name in found)
