"""Arbitrary pairs: one trial, and the parts of it that are not the library's."""

import dataclasses

import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.papers.hydra import study
from farfield.trials.arbitrary_pairs import WAYS, held_out_pairs, split_classes, trial


def point(task, way, **settings):
    (found,) = study.trials("smoke", {"task": [task], "way": [way]}, seeds=1)
    return {**found.point, **settings}


@pytest.fixture(scope="module")
def digits():
    return tasks.load("digits", seed=0)


def test_other_classes_are_held_back_whole(digits):
    here, (learned, test) = split_classes(digits, 7)
    assert here.outputs.count == 7 and here.train.columns["y"].unique().tolist() == list(range(7))
    assert here.tests["iid"].columns["y"].unique().tolist() == list(range(7))
    assert learned.columns["y"].unique().tolist() == test.columns["y"].unique().tolist() == [7, 8, 9]
    assert len(here.train) + len(learned) == len(digits.train) + len(digits.val)
    assert len(here.tests["iid"]) + len(test) == len(digits.tests["iid"])
    assert split_classes(digits, 10)[1] is None and split_classes(digits, None)[0].outputs.count == 7


def test_what_cannot_be_split_is_refused(digits):
    for count in (1, 11):
        with pytest.raises(InputError, match=f"classes is {count}"):
            split_classes(digits, count)
    with pytest.raises(InputError, match="expected images or vectors"):
        split_classes(dataclasses.replace(digits, inputs=tasks.Text()), 2)
    with pytest.raises(InputError, match="way"):
        trial({**point("digits", "hydra"), "way": "hydra-3"}, 0)


class Gate(torch.nn.Module):
    """The features of the pair's two classes, or all."""

    def __init__(self, shut):
        super().__init__()
        self.shut = shut

    def forward(self, y1, y2):
        return (torch.eye(8)[y1] + torch.eye(8)[y2]).clamp(max=1) if self.shut else torch.ones(len(y1), 8)


def test_partners_are_found_through_their_gate():
    y = torch.arange(160) % 8
    settings = point("digits", "hydra", draws=5, batch_size=40)
    # A class is told by its feature, which alone is negative: seen through the pair's own two features, all rows of other classes
    # are (1, 1), and those of the pair are not. Through all features the nearest rows are those of a row's own class, which are left out.
    z = 1 - 2 * torch.eye(8)[y]
    through = held_out_pairs(z, y, Gate(True), settings, seed=0)
    # Pairs of one class are found; in others the partner is the farthest, and 37 or so candidates are nearer.
    assert 0.05 < through["pair_top1"] < 0.25 and 25 < through["candidates"] < 36
    # Features that tell nothing: chance among the candidates that are left.
    noise = 0.01 * torch.randn(160, 8, generator=torch.Generator().manual_seed(0))
    blind = held_out_pairs(noise, y, Gate(False), settings, seed=0)
    assert blind["pair_top1"] == pytest.approx(1 / blind["candidates"], abs=0.03)
    # The same pairs and candidates, whatever is asked about.
    assert blind["candidates"] == through["candidates"]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_trains_and_says_what_it_defines(way):
    found = trial(point("digits", way, steps=6), 0)
    assert 0 <= found["pair_top1"] <= 1 and 0.5 < found["knn"] <= 1 and found["effective_rank"] > 1
    assert len(found["log_spectrum"]) == 64 and max(found["log_spectrum"]) == found["log_spectrum"][0]
    assert (found["gate_mean"] is None) == (way not in ("hydra", "hydra-binary"))
    assert (found["subspace_gain"] is None) == (way != "simclr")
    assert (found["losses"] is None) == (way in ("simclr", "supcon", "supervised"))


def test_the_same_trial_gives_the_same_numbers():
    settings = point("digits", "hydra", steps=5)
    assert trial(settings, 1) == trial(settings, 1)


def test_the_filter_solves_what_cannot_be_solved_without():
    filtered, open_ = (trial(point("digits", way, steps=250), 0) for way in ("hydra", "arbitrary"))
    assert filtered["pair_top1"] > open_["pair_top1"] + 0.3
    assert filtered["pair_loss"] < open_["pair_loss"] - 1
    assert filtered["losses"][-1] < filtered["losses"][0] - 1
