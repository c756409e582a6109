"""What is read off the networks: probes, episodes, fine-tuning."""

import pytest
import torch

from farfield.errors import InputError
from farfield.papers.rich_representations import TINY
from farfield.study.stage import VARIABLE
from farfield.trials.rich_representations import SHIFTS, episodes, shifted, trial

POINT = {**TINY, "task": "digits"}


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_every_kind_of_representation_is_measured_and_the_same_again():
    found = {}
    for name in (
        "single",
        "ensemble-2",
        "sub-2",
        "joint-2",
        "large-2",
        "random-2",
        "distill-2-logits",
        "distill-snapshots-2",
    ):
        found[name] = trial({**POINT, "representation": name}, 0)
        assert 0.2 < found[name]["far"] < 1, name
        assert found[name]["far_minus_source"] == pytest.approx(found[name]["far"] - found[name]["source"])
    assert found["single"] == trial({**POINT, "representation": "single"}, 0)
    assert found["single"]["features"] == 16 and found["joint-2"]["features"] == found["random-2"]["features"] == 32
    assert found["ensemble-2"]["one_shot"] is None and found["random-2"]["own_source"] is None
    assert found["single"]["own_source"] > 0.4


def test_fine_tuning_learns_the_new_classes_both_ways():
    point = {**POINT, "tuning_epochs": 40, "tuning_batch": 64}
    for way in ("plain-ft", "two-stage-ft"):
        assert trial({**point, "representation": way}, 0)["fine_tuned"] > 0.6, way


def test_shifts_do_what_their_names_say():
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shifted("inverted", images, 0), 1 - images)
    noise = shifted("noise 0.5", images.repeat(100, 1, 1, 1), 0) - images.repeat(100, 1, 1, 1)
    assert float(noise.std()) == pytest.approx(0.5, rel=0.02)
    assert torch.equal(shifted("noise 0.5", images, 1), shifted("noise 0.5", images, 1))
    thirty = shifted("rotated 30°", images, 0)
    assert not torch.allclose(thirty, images, atol=0.1) and thirty.shape == images.shape
    assert len({shifted(s, images, 0).sum().item() for s in SHIFTS}) == 4


def test_episodes_are_at_chance_without_signal_and_right_with_it():
    g = torch.Generator().manual_seed(0)
    y = torch.arange(10).repeat_interleave(20)
    noise = torch.randn(200, 16, generator=g)
    assert episodes(noise, y, 1, 100, seed=0) == pytest.approx(0.2, abs=0.03)
    signal = 3 * torch.eye(10, 16)[y] + 0.5 * noise
    one, five = (episodes(signal, y, shots, 40, seed=0) for shots in (1, 5))
    assert 0.6 < one < five
    # Lengths play no role.
    assert episodes(7 * signal, y, 1, 40, seed=0) == pytest.approx(one, abs=0.01)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="unknown representation 'broad-5'"):
        trial({**POINT, "representation": "broad-5"}, 0)
    with pytest.raises(InputError, match="unknown shift 'invert'; nearest: inverted"):
        shifted("invert", torch.zeros(1, 1, 2, 2), 0)
    with pytest.raises(InputError, match="5 shots need two with more"):
        episodes(torch.zeros(6, 2), torch.arange(6) % 2, 5, 1, seed=0)
