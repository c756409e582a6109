"""Easy and hard examples of real digits."""

import pytest
import torch

from farfield.tasks.labelled_arrays import labelled_arrays
from farfield.tasks.task import Table
from farfield.trials import easy_hard
from farfield.trials.easy_hard import trial

POINT = {
    "data": "digits",
    "model": "mlp?hidden=32&depth=1",
    "batch_size": 32,
    "epochs": 40,
    "learning_rate": 0.1,
    "momentum": 0.0,
    "share": 0.2,
    "runs": 1,
    "difficulty_epochs": 3,
    "device": "cpu",
}


def test_easy_examples_are_learned_better_from_each_other():
    found = trial(POINT, 0)
    assert found == trial(POINT, 0)
    assert (
        found["easy_minus_hard"] == pytest.approx(found["easy_easy"] - found["hard_hard"]) and found["examples"] > 150
    )
    assert found["easy_easy"] > 0.95 and found["easy_minus_hard"] > 0.05
    assert found["easy_hard"] < found["hard_hard"]


def test_difficulty_comes_from_networks_that_did_not_see_the_example(monkeypatch):
    x, y = labelled_arrays("digits")
    rows, seen = Table(x=x, y=y, row=torch.arange(len(y))), []

    def epochs(part, classes, point, seed, epochs):
        seen.append(set(part.columns["row"].tolist()))
        yield torch.nn.Linear(1, 1)

    def right(model, part):
        asked.append(set(part.columns["row"].tolist()))
        return torch.ones(len(part), dtype=torch.bool)

    asked: list[set[int]] = []
    monkeypatch.setattr(easy_hard, "_epochs", epochs)
    monkeypatch.setattr(easy_hard, "_right", right)
    assert next(easy_hard._told_right(rows, {"difficulty_epochs": 1}, 0)).all()
    assert all(not a & s for a, s in zip(asked, seen)) and set.union(*asked) == set(range(len(y)))
