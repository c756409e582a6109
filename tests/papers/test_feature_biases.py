"""The study of feature biases, end to end at its smoke preset."""

import pytest

from farfield.papers.feature_biases import BITS, CELLS, SETTINGS, study, trial
from farfield.study.execute import execute
from farfield.study.stage import VARIABLE


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    assert len(finished.results["claims"]) == 7
    assert all(c["n"] == 2 and c["effect"] is not None for c in finished.results["claims"])
    assert len(finished.results["figures"]) == 5
    table = {row["cell"]: row for row in finished.results["table"]}
    assert set(table) == {*BITS, "similarity", "a, then b", "b, then a"}
    assert table["inputs"]["easy_r2"]["mean"] == pytest.approx(1 / 32, abs=0.02)
    assert table["similarity"]["easy_r2"] is None and table["similarity"]["similarity_both-hard"] is not None


def test_every_cell_of_the_full_preset_differs_from_the_base_in_known_settings_only():
    known = {*SETTINGS, "order"}
    for cell, changes in CELLS.items():
        assert set(changes) <= known, cell
    assert set(study.axes("full")["cell"]) == set(CELLS)
    assert len({repr(sorted(c.items())) for c in BITS.values()}) == len(BITS)


@pytest.mark.parametrize("cell", ["shapes, ResNet", "shapes, ViT", "shapes, CNN", "hard, then easy"])
def test_cells_of_the_full_preset_run_at_a_small_size(cell, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    for network in ("resnet?width=4", "vit?dim=16&depth=1&heads=2", "cnn?width=4"):
        if "model" in CELLS[cell] and CELLS[cell]["model"].split("?")[0] == network.split("?")[0]:
            monkeypatch.setitem(CELLS, cell, {**CELLS[cell], "model": network, "rows": 128, "test_rows": 128})
    small = {**SETTINGS, "string_rows": 64, "steps": 10, "width": 16, "heads": 2, "ceiling": 0.0}
    result = trial({"cell": cell, **small}, 0)
    first = "first" if "order" in CELLS[cell] else "easy"
    assert result[f"{first}_r2"] <= 1 and 0 <= result[f"{first}_accuracy"] <= 1
