"""The study of random field augmentations, end to end at its smoke preset."""

import pytest

from farfield.papers.random_field_augmentations import ARMS, IMAGENET, SETTINGS, study
from farfield.study.execute import execute, needs


@pytest.mark.needs_data("mnist-10k")
def test_smoke(tmp_path):
    finished = execute(study, preset="smoke", out=tmp_path, workers=1)
    assert finished.results["failed"] == []
    assert len(finished.results["claims"]) == 4
    assert all(c["n"] == 2 and c["effect"] is not None for c in finished.results["claims"])
    assert len(finished.results["figures"]) == 4
    table = {row["arm"]: row for row in finished.results["table"]}
    assert set(table) == set(study.axes("smoke")["arm"])
    lost = {arm: row["structure_loss"]["mean"] for arm, row in table.items()}
    assert lost["base"] == 0 < lost["local 0.25"] < lost["local 0.5"] < lost["local 1"] < lost["local 2"]
    assert table["global 0.5"]["folded"]["mean"] == 0 < table["local 2"]["folded"]["mean"]


def test_every_arm_differs_from_the_base_in_known_settings_only():
    for arm, changes in ARMS.items():
        assert set(changes) <= set(SETTINGS), arm
    assert len({repr(sorted(changes.items())) for changes in ARMS.values()}) == len(ARMS)


def test_the_full_preset_can_be_checked_without_running_it():
    found = {need.name: need for need in needs(study, "full")}
    assert found["cifar10"].state in ("here", "download", "missing")
    assert found[IMAGENET].state in ("here", "download", "missing")
