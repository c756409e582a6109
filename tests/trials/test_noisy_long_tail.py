"""The trial of noisy, long-tailed labels: what is shared, what the rivals do, what is reported."""

import pytest
import torch

from farfield import nn, tasks
from farfield.errors import InputError
from farfield.losses import LDAMLoss
from farfield.study.stage import VARIABLE
from farfield.tasks import Table
from farfield.trials.noisy_long_tail import (
    METHODS,
    RIVALS,
    _balanced,
    contrastive,
    fit,
    prepare,
    short,
    small_losses,
    trial,
)

NAME = "digits?imbalance=5&noise=0.3&noise_kind=symmetric&spoil=train"
POINT = {
    "task": NAME,
    "model": "mlp?hidden=16",
    "pool": 1,
    "steps": 30,
    "batch_size": 64,
    "contrast_steps": 10,
    "contrast_batch": 64,
    "rcal": {"shrinkage": 0.1},
    "device": "cpu",
}


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))


def test_right_labels_are_those_of_the_same_rows():
    task, right = prepare(task=NAME, pool=1, seed=1)
    clean = tasks.load("digits?imbalance=5&spoil=train", seed=1)
    assert torch.equal(task.train.columns["x"], clean.train.columns["x"])
    wrong = (task.train.columns["y"] != right).float().mean().item()
    assert torch.equal(right, clean.train.columns["y"]) and 0.2 < wrong < 0.4


def test_images_are_averaged():
    task, _ = prepare(task=NAME, pool=2, seed=0)
    whole, _ = prepare(task=NAME, pool=1, seed=0)
    assert str(task.inputs) == "images of 1x4x4"
    for small, large in ((task.train, whole.train), (task.tests["iid"], whole.tests["iid"])):
        x = large.columns["x"]
        torch.testing.assert_close(small.columns["x"][:, :, 1, 2], x[:, :, 2:4, 4:6].mean((2, 3)))
    with pytest.raises(InputError, match="pool is 2; the task gaussian-classes has vectors"):
        prepare(task="gaussian-classes", pool=2, seed=0)


def test_a_trial_is_deterministic_and_says_what_the_study_needs():
    first, again = (trial({**POINT, "variant": "rcal"}, 1) for _ in range(2))
    assert first == again
    ce = trial({**POINT, "variant": "ce"}, 1)
    assert first["gain"] == pytest.approx(first["balanced"] - ce["balanced"])
    assert (first["noise"], first["imbalance"]) == (0.3, 5.0)
    assert first["at"] == {"digits, 5:1, 30 % wrong": first["balanced"]}
    thirds = first["many"] * 4 + first["medium"] * 3 + first["few"] * 3
    assert first["balanced"] == pytest.approx(thirds / 10)
    assert first["nearer"] == pytest.approx(first["error_kept"] - first["error_calibrated"])
    assert sum(first["errors_raw"][5:]) / 5 == pytest.approx(first["error_raw"])
    # Large classes do not borrow.
    assert first["errors_calibrated"][:5] == first["errors_kept"][:5]


def test_all_methods_but_the_first_start_from_one_encoder_that_saw_no_labels():
    size = {"model": POINT["model"], "pool": 1, "steps": 10, "batch_size": 64, "device": "cpu", "seed": 0}
    one = contrastive(task=NAME, **size)
    other = contrastive(task=NAME.replace("noise=0.3", "noise=0.9"), **size)
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    fresh = nn.load(POINT["model"], prepare(task=NAME, pool=1, seed=0)[0], seed=0).state_dict()
    assert not torch.equal(one["encoder.2.weight"], fresh["encoder.2.weight"])
    assert torch.equal(one["head.weight"], fresh["head.weight"])


@pytest.mark.parametrize("name", RIVALS)
def test_every_rival_learns_clean_digits(name):
    task, _ = prepare(task="digits", pool=1, seed=0)
    model = nn.load("mlp?hidden=32", task, seed=0)
    before = model.encoder[2].weight.detach().clone()
    # Filtering by loss throws away what is learned late, so it must not come early.
    fitted = fit(name, model, task, steps=600 if name == "small-loss" else 150, batch_size=64, seed=0)
    test = task.tests["iid"]
    assert (fitted(test.columns["x"]).argmax(1) == test.columns["y"]).float().mean() > (
        0.75 if name in ("frozen", "small-loss") else 0.85
    )
    assert torch.equal(model.encoder[2].weight, before) == (name == "frozen")
    assert isinstance(model.head, nn.CosineClassifier) == (name == "ldam-drw")


def test_balanced_batches_hold_all_classes_alike():
    y = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    rows = next(_balanced(y, torch.bincount(y), 6000, 0))
    assert (torch.bincount(y[rows]) / 6000).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)


def test_deferred_weights_begin_after_their_step():
    from farfield.trials.noisy_long_tail import _Deferred

    loss = LDAMLoss(torch.tensor([90, 10]), scale=1.0)
    weights = torch.tensor([0.1, 1.9])
    batch = Table(x=torch.tensor([[1.0, 0.0], [0.3, 0.2]]), y=torch.tensor([0, 1]))[torch.arange(2)]
    deferred = _Deferred(loss, weights, start=2)
    found = [deferred(torch.nn.Identity(), batch).item() for _ in range(3)]
    plain, weighted = (loss(batch["x"], batch["y"], w).item() for w in (None, weights))
    assert found == [plain, plain, weighted] and plain != weighted


def test_small_losses_are_the_lower_of_two_groups():
    g = torch.Generator().manual_seed(0)
    each = torch.cat([0.2 + 0.05 * torch.randn(200, generator=g), 3 + 0.5 * torch.randn(100, generator=g)])
    order = torch.randperm(300, generator=g)
    assert torch.equal(small_losses(each[order], seed=0), order < 200)


def test_an_unknown_method_is_named():
    with pytest.raises(InputError, match="unknown method 'rcall'; nearest: rcal"):
        trial({**POINT, "variant": "rcall"}, 0)
    assert short("mnist") == "mnist, 1:1, 0 % wrong" and len(set(METHODS)) == 14
