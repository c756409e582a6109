import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import example_difficulty

RUNS = [
    [[True, False, False, False], [False, True, False, False], [True, True, True, False]],
    [[True, True, False, False], [True, True, False, False], [True, True, False, False]],
]


def test_the_first_epoch_counts_and_runs_are_averaged():
    found = example_difficulty(lambda run: map(np.array, RUNS[run]), epochs=3, runs=2)
    assert found.tolist() == [1, 1.5, 3.5, 4]


def test_a_run_is_asked_for_no_more_epochs_than_needed():
    asked = []

    def run(number):
        while True:
            asked.append(number)
            yield torch.tensor([True])

    assert example_difficulty(run, epochs=2, runs=3).tolist() == [1]
    assert asked == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("looks", "settings", "message"),
    [
        ([[True]], {"epochs": 2}, r"train_fn\(0\) ended after 1 of 2 epochs"),
        ([[1, 0]], {}, "gave torch.int64 of shape"),
        ([[[True]]], {}, "expected bool of shape"),
        ([[True], [True, False]], {"epochs": 2}, r"shape \(2,\) after epoch 2; expected bool of shape \(1,\)"),
        ([[True]], {"runs": 0}, "runs is 0"),
        ([[True]], {"epochs": 0}, "epochs is 0"),
    ],
)
def test_what_does_not_fit_is_refused(looks, settings, message):
    with pytest.raises(InputError, match=message):
        example_difficulty(lambda run: map(np.array, looks), **{"epochs": 1, "runs": 1, **settings})
