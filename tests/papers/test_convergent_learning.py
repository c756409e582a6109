"""The study of convergent learning, end to end at its smoke preset."""

from farfield.papers.convergent_learning import LAYERS, draw_maps, draw_units, study
from farfield.study.execute import execute, needs
from farfield.study.stage import VARIABLE
from farfield.trials.convergence import NETS


def test_smoke(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    claims = finished.results["claims"]
    assert len(claims) == 11
    # One to one is at most the best partner: an identity, whatever was learned.
    assert claims[3]["verdict"] == "holds" and claims[3]["detail"] == "checked exactly"
    assert all(c["n"] == 2 and c["effect"] is not None for i, c in enumerate(claims) if i != 3)
    assert {(row["layer"], row["nets"]) for row in finished.results["table"]} == {
        (la, n) for la in LAYERS for n in NETS
    }
    assert finished.results["figures"] == [f"convergent-learning/{name}.svg" for name in ("units", "maps", "weights")]
    units = (tmp_path / "convergent-learning" / "units.svg").read_text()
    for text in (*LAYERS, "best partner", "one to one", "untrained", "chance"):
        assert f">{text}</text>" in units
    maps = (tmp_path / "convergent-learning" / "maps.svg").read_text()
    assert all(f">{layer}</text>" in maps for layer in LAYERS)


def test_figures_show_the_mean_over_seeds_of_each_layer():
    import pandas as pd

    curve = [0.5] * 20
    rows = [
        {"task": "digits", "layer": "conv1", "nets": nets, "seed": seed, "greedy_curve": curve, "matching_curve": curve,
         "map_loss": [0.1, 0.3], "map_weights": [16.0, 2.0 + seed]}
        for nets in NETS
        for seed in (0, 1)
    ]  # fmt: skip
    assert draw_units(pd.DataFrame(rows)).count("conv1") == 1
    # Two penalties, at the mean number of weights of each: a line of two points.
    assert "weights that are not zero" in draw_maps(pd.DataFrame(rows))


def test_the_full_preset_can_be_checked_without_running_it():
    found = {need.name: need for need in needs(study, "full")}
    assert found["hf:ILSVRC/imagenet-1k?image=image&target=label&size=224"].state in ("here", "download", "missing")
    assert found["farfield.nn.plain_cnn:alexnet"].state == "here"
