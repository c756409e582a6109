import pytest
import torch

from farfield.errors import InputError
from farfield.study.stage import VARIABLE
from farfield.tasks import column
from farfield.trials.pretrained_elsewhere import CHARACTERS, DIGITS, REVIEWS, _even, _hashed, setting, start


def test_rows_are_even_over_classes_and_fewer_are_among_more():
    y = torch.tensor([0] * 50 + [1] * 30 + [2] * 4)
    few, many = _even(y, 9, seed=0), _even(y, 40, seed=0)
    assert y[few].bincount().tolist() == [3, 3, 3]
    assert y[many].bincount().tolist() == [18, 18, 4]
    assert set(few.tolist()) <= set(many.tolist()) and len(set(many.tolist())) == 40
    assert set(few.tolist()) != set(_even(y, 9, seed=1).tolist())


def test_hashing_keeps_the_counts_and_always_does_the_same():
    x = torch.eye(5000)[:300] * 2
    found = _hashed(x)
    assert torch.equal(found.sum(1), torch.full((300,), 2.0)) and torch.equal(found, _hashed(x))
    assert torch.allclose(_hashed(x[:1] + x[1:2]), found[:1] + found[1:2])


@pytest.mark.needs_data("mnist-10k")
@pytest.mark.needs_data("omniglot-small")
def test_characters_are_twenty_classes_of_small_images_in_every_split():
    found = setting(CHARACTERS, 100, 0)
    task = found.task
    assert task.outputs.count == 20 and str(task.inputs) == "images of 1x14x14"
    assert column(task.train, "y").bincount().tolist() == [5] * 20
    for split in (task.val, *task.tests.values()):
        assert len(column(split, "y").unique()) == 20
    assert found.pretraining.outputs.count == 10 and found.pretraining.inputs == task.inputs
    assert setting(CHARACTERS, 300, 0) is None


@pytest.mark.needs_data("amazon-reviews")
def test_reviews_are_pretrained_on_two_other_products():
    found = setting(REVIEWS, 100, 0)
    assert len(found.task.train) == 100 and found.task.far == ("electronics",)
    # Two times 2,000, but for rows that also lie in a test.
    assert 3600 < len(found.pretraining.train) <= 4000
    assert setting(REVIEWS, 300, 0).pretraining is found.pretraining
    assert found.task.inputs.size == found.pretraining.inputs.size == 2048


@pytest.mark.needs_data("mnist-10k")
def test_the_start_has_the_pretrained_encoder_and_a_new_head(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    found = setting(DIGITS, 50, 0)
    point = {"task": DIGITS, "rows": 50, "model": "mlp?hidden=16&depth=2", "pretraining_steps": 150, "device": "cpu"}
    model = start(point, found, 0)
    x, y = (column(found.pretraining.train, name)[:1500] for name in ("x", "y"))
    from farfield import nn
    from farfield.measure import linear_probe

    fresh = nn.load(point["model"], found.task, seed=0)
    assert torch.equal(model.head.weight, fresh.head.weight)
    scores = [linear_probe(m.features(x).detach(), y).value for m in (fresh, model)]
    assert scores[1] > scores[0] + 0.03, scores


def test_a_task_without_data_to_pretrain_on_needs_a_pretrained_model():
    with pytest.raises(InputError, match="there is nothing to pretrain cnn on for digits/rotation"):
        setting("digits/rotation", 50, 0, "cnn")
