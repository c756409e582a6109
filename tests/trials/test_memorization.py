"""Trials on noisy labels: what their numbers mean, on real digits."""

import pytest
import torch

from farfield import nn, optim
from farfield.errors import InputError
from farfield.trials.memorization import look_steps, make_optimizer, prepare, summary, trial

POINT = {
    "data": "digits",
    "model": "mlp?hidden=32&depth=1",
    "optimizer": "sgd",
    "noise": 0.5,
    "c": 2,
    "rows": 300,
    "test_rows": 400,
    "batch_size": 32,
    "epochs": 6,
    "learning_rate": 0.1,
    "momentum": 0.0,
    "looks": 4,
    "sample": 100,
    "device": "cpu",
}


@pytest.mark.parametrize("optimizer", ["sgd", "m3", "rm3", "winsorized"])
def test_learns_right_labels_before_wrong_ones_the_same_each_time(optimizer):
    point = {**POINT, "optimizer": optimizer}
    found = trial(point, 0)
    assert found == trial(point, 0)
    assert found["pristine"] > 0.6 and found["pristine"] > found["corrupt"] + 0.3
    assert found["epoch"] == [0, 0.25, 0.5, 0.75, 1, 2, 3, 6]
    assert found["overfit"] == pytest.approx(found["train"] - (0.05 + 0.5 * found["test"]))
    assert found["early_coherence"] == pytest.approx(sum(found["coherence_curve"][:5]) / 5)
    assert found["peak_coherence"] == max(found["coherence_curve"][5:])
    assert found["pristine_share"] > 0.5


def test_the_gradients_agree_more_on_real_labels_than_on_random_ones():
    real, random = (trial({**POINT, "noise": noise}, 0) for noise in (0.0, 1.0))
    assert real["early_coherence"] > 3 * random["early_coherence"]
    assert real["corrupt"] is None and real["pristine_share"] is None and real["pristine"] == real["train"]


def test_without_a_sample_no_gradient_is_measured():
    found = trial({**POINT, "sample": 0, "epochs": 2}, 0)
    assert found["early_coherence"] is None and found["peak_coherence"] is None
    assert found["coherence_curve"] == [None] * len(found["epoch"])


def test_all_cells_of_a_seed_share_rows_and_first_weights():
    (a, right_a, model_a), (b, right_b, model_b) = (prepare({**POINT, "noise": noise}, 3) for noise in (0.0, 0.5))
    assert torch.equal(a.train.columns["x"], b.train.columns["x"]) and torch.equal(right_a, right_b)
    assert torch.equal(a.train.columns["y"], right_a) and torch.equal(
        a.tests["iid"].columns["y"], b.tests["iid"].columns["y"]
    )
    assert 0.3 < (b.train.columns["y"] != right_b).float().mean() < 0.6
    assert all(torch.equal(p, q) for p, q in zip(model_a.parameters(), model_b.parameters()))


def test_batches_of_m3_divide_into_its_groups():
    task, _, model = prepare(POINT, 0)
    optimizer, loss, size = make_optimizer({**POINT, "optimizer": "m3"}, model, 300)
    assert isinstance(optimizer, optim.M3) and size == 30
    batch = task.train[torch.arange(30)]
    optimizer.group = 1
    part = {name: column[1::3] for name, column in batch.items()}
    expected = torch.nn.functional.cross_entropy(model(part["x"]), part["y"])
    assert torch.equal(loss(model, batch), expected)
    with pytest.raises(InputError, match="unknown optimizer 'rm4'; nearest: rm3"):
        make_optimizer({**POINT, "optimizer": "rm4"}, nn.load("linear", task), 300)


def look(epoch, pristine, corrupt, test):
    return {
        "epoch": epoch,
        "train": 0.5,
        "pristine": pristine,
        "corrupt": corrupt,
        "test": test,
        "coherence": epoch + 1,
    }


def test_what_is_read_from_the_looks():
    rows = [look(0.0, 0.1, 0.1, 0.1), look(1.0, 0.6, 0.2, 0.5), look(2.0, 0.8, 0.4, 0.9), look(4.0, 0.95, 0.5, 0.7)]
    found = summary(rows, {"noise": 0.5, "epochs": 4}, classes=10)
    assert found["early_coherence"] == 1.5 and found["peak_coherence"] == 5
    assert found["corrupt_at_70"] == pytest.approx(0.3) and found["test_at_70"] == pytest.approx(0.7)
    assert found["pristine_lead"] == 1  # 90 % of the corrupt are not reached: counted as epoch 5
    assert found["best_test"] == 0.9 and found["overfit"] == pytest.approx(0.5 - (0.05 + 0.35))
    never = summary(rows[:2], {"noise": 0.5, "epochs": 1}, classes=10)
    assert never["corrupt_at_70"] is None and never["pristine_lead"] is None and never["peak_coherence"] is None


def test_the_looks_are_dense_where_most_happens():
    assert look_steps(40, 10, 31)[31] == 1.0
    epochs = list(look_steps(40, 10, 31).values())
    assert epochs == sorted(epochs) and epochs[-1] == 40 and len(epochs) == 13
