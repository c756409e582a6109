import copy

import pytest
import torch
from torch import nn as tnn

from farfield.errors import InputError
from farfield.methods.erm import erm
from farfield.nn.classifier import Classifier
from farfield.nn.tuning import Frozen, tune


def model():
    torch.manual_seed(0)
    encoder = tnn.Sequential(tnn.Linear(6, 8), tnn.BatchNorm1d(8), tnn.Dropout(0.5), tnn.Linear(8, 4))
    return Classifier(encoder, tnn.Linear(4, 3), learning_rate=5e-5)


def trainable(m):
    return {n for n, p in m.named_parameters() if p.requires_grad}


def test_full_changes_nothing():
    m = model()
    assert tune(m, "full") is m
    assert trainable(m) == set(dict(m.named_parameters())) and m.learning_rate == 5e-5


def test_a_probe_trains_its_head_and_leaves_the_encoder_as_it_was_bit_by_bit(vector_task):
    task, m = vector_task(), tune(model(), "probe")
    before = copy.deepcopy(m.state_dict())
    assert m.learning_rate == 1e-3
    erm(m, task, steps=5, batch_size=4)
    after = m.state_dict()
    # Running statistics are part of the state, so BatchNorm was in evaluation mode too.
    assert all(after[k].equal(before[k]) for k in after if k.startswith("encoder"))
    assert not after["head.weight"].equal(before["head.weight"])


def test_a_frozen_encoder_stays_in_evaluation_mode_through_train_and_copies():
    m = tune(model(), "probe")
    for each in (m, copy.deepcopy(m)):
        each.train()
        assert each.head.training and not any(part.training for part in each.encoder.modules())
        x = torch.randn(5, 6)
        assert each(x).equal(each(x))


def test_gradients_still_reach_the_input_of_a_frozen_module():
    x = torch.randn(2, 3, requires_grad=True)
    frozen = Frozen(tnn.Linear(3, 3))
    frozen(x).sum().backward()
    torch.testing.assert_close(x.grad, frozen.module.weight.sum(0).expand(2, 3))


def test_lora_adds_rank_times_the_sides_of_each_layer_and_trains_them_and_the_head_alone(vector_task):
    m = tune(model(), "lora", rank=2)
    added = sum(p.numel() for n, p in m.named_parameters() if p.requires_grad and n.startswith("encoder"))
    assert added == 2 * (6 + 8) + 2 * (8 + 4)
    assert {n for n in trainable(m) if n.startswith("head")} == {"head.weight", "head.bias"}
    assert m.learning_rate == 2e-4
    before = {n: p.detach().clone() for n, p in m.named_parameters()}
    erm(m, vector_task(), steps=5, batch_size=4)
    changed = {n for n, p in m.named_parameters() if not p.equal(before[n])}
    assert changed == trainable(m)


def test_lora_starts_as_the_model_that_it_adds_to():
    plain, x = model().eval(), torch.randn(3, 6)
    expected = plain(x)
    assert tune(plain, "lora").eval()(x).equal(expected)


def test_what_cannot_be_tuned_is_refused():
    with pytest.raises(InputError, match="tune=all of the model must be full, probe or lora"):
        tune(model(), "all")
    with pytest.raises(InputError, match="its encoder has no linear layer to add to"):
        tune(Classifier(tnn.Sequential(tnn.Conv2d(1, 2, 3), tnn.Flatten()), tnn.Linear(8, 3)), "lora")
