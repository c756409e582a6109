"""The recipe: its stages, its limits, and any kind of model and input."""

import dataclasses

import pytest
import torch
from torch import nn

from farfield import tasks
from farfield.errors import InputError
from farfield.measure import balanced_accuracy
from farfield.methods import erm, rcal
from farfield.methods.method import training_batches
from farfield.nn import Classifier, load
from farfield.reuse import ClassGaussians, Encoder, anchors, contrast, rcal_fit
from farfield.tasks import Classes, Table, Task, Tokens
from farfield.train import predict


def test_it_is_contrast_and_then_calibration_with_the_shared_batches(task, new_model, check_same, settings):
    from farfield.augment import RandomView
    from farfield.methods.method import adamw

    fitted = rcal(new_model(), task, contrastive=0.5, **settings)
    expected = new_model()
    contrast(
        Encoder(expected),
        task.train,
        RandomView(seed=3),
        steps=3,
        batch_size=24,
        learning_rate=0.01,
        weight_decay=0.1,
        seed=3,
    )
    rcal_fit(
        expected,
        anchors(expected, task.train),
        task.train,
        steps=6,
        optimizer=adamw(expected, 0.01, 0.1),
        batch_size=24,
        batches=training_batches(task, 24, seed=3),
        seed=3,
        gaussians=ClassGaussians(shrinkage=0.1),
    )
    check_same(fitted.model, expected, exact=True)
    assert len(fitted.history.loss) == 6


def test_without_the_first_stage_the_representation_stays_near_its_start(task, new_model, settings):
    start = anchors(new_model(), task.train)
    spread = {}
    for contrastive in (0.0, 5.0):
        fitted = rcal(new_model(), task, contrastive=contrastive, anchor_weight=1e3, **settings)
        spread[contrastive] = (anchors(fitted.model, task.train) - start).square().mean()
    assert spread[0.0] < 0.2 * spread[5.0], spread


def test_hooks_see_the_steps_of_the_second_stage(task, new_model, settings):
    seen = []
    rcal(new_model(), task, hooks=[lambda step, model, loss: seen.append((step, model))], **settings)
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6] and isinstance(seen[0][1], Classifier)


def test_rare_classes_gain_over_erm_on_noisy_long_tailed_labels():
    # Digits at 40 % wrong labels, 10:1.
    name = "digits/rotation?imbalance=10&noise=0.4&noise_kind=lt-asymmetric"
    task = tasks.load(name, seed=0)
    test, scores = task.tests["iid"], {}
    for method in (erm, rcal):
        fitted = method(load("mlp?hidden=64", task), task, steps=300, batch_size=64)
        scores[method] = balanced_accuracy(predict(fitted.model, test).argmax(1), test.columns["y"])
    assert scores[rcal] > scores[erm] + 0.03, scores


@pytest.mark.parametrize("model", ["linear", "mlp?hidden=16", "cnn?width=4", "resnet?width=4"])
def test_every_built_in_model_is_served(model):
    task = tasks.load("digits/noise?rows=400")
    fitted = rcal(load(model, task), task, steps=6)
    assert torch.isfinite(torch.tensor(fitted.history.loss)).all()


def test_tokens_and_a_frozen_encoder_are_served(tmp_path):
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(tmp_path)
    y = torch.arange(60) % 2
    x = torch.randint(1, 30, (60, 5), generator=torch.Generator().manual_seed(0))
    rows = Table(x=x, y=y, domain=torch.zeros(60, dtype=torch.long))
    task = Task("tokens", rows, rows, {"iid": rows}, Tokens(30, 5), Classes(2), ("a",))
    for options in ("", "?tune=probe"):
        model = load(f"hf:{tmp_path}{options}", task)
        before = [p.detach().clone() for p in model.encoder.parameters()]
        fitted = rcal(model, task, steps=4, batch_size=16)
        assert len(fitted.history.loss) == 4
        same = all(torch.equal(a, b) for a, b in zip(before, model.encoder.parameters()))
        assert same == (options != "")


def test_what_cannot_be_is_refused(task, new_model, settings):
    with pytest.raises(InputError, match="contrastive is -1"):
        rcal(new_model(), task, contrastive=-1, **settings)
    lonely = task.train.replace(y=torch.cat([torch.tensor([2]), torch.arange(89) % 2]))
    with pytest.raises(InputError, match="class 2 of y has 1 rows; a Gaussian needs at least 2"):
        rcal(new_model(), dataclasses.replace(task, train=lonely), **settings)
    every = task.train.replace(y=torch.zeros(90, 4, dtype=torch.long))
    with pytest.raises(InputError, match="one at every position"):
        rcal(nn.Linear(4, 3), dataclasses.replace(task, train=every), **settings)
