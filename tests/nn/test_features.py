import pytest
import torch
from torch import nn as tnn

from farfield import nn
from farfield.errors import InputError
from farfield.nn import features_and_logits


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "resnet", "vit?dim=16"])
def test_a_classifier_gives_what_its_head_reads(image_task, name):
    task = image_task()
    model, x = nn.load(name, task).eval(), task.train[[0, 1, 2]]["x"]
    features, logits = features_and_logits(model, x)
    assert logits.equal(model(x))
    assert model.head(features).equal(logits)


def test_of_any_other_module_the_input_of_the_last_linear_layer_that_ran():
    model = tnn.Sequential(tnn.Linear(4, 5), tnn.ReLU(), tnn.Linear(5, 3))
    x = torch.randn(6, 4)
    features, logits = features_and_logits(model, x)
    torch.testing.assert_close(logits, features @ model[2].weight.T + model[2].bias)
    assert features.equal(model[1](model[0](x)))


def test_a_linear_layer_that_does_not_run_is_not_taken():
    class Two(tnn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = tnn.Linear(4, 3), tnn.Linear(9, 9)

        def forward(self, x):
            return self.used(x)

    x = torch.randn(2, 4)
    assert features_and_logits(Two(), x)[0] is x


def test_a_submodule_called_features_is_not_taken_for_the_input_of_the_head():
    class Vision(tnn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.head = tnn.Conv2d(1, 4, 3), tnn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.features(x).mean((2, 3)))

    model, x = Vision(), torch.rand(2, 1, 8, 8)
    features, logits = features_and_logits(model, x)
    assert logits.equal(model(x))
    assert features.equal(model.features(x).mean((2, 3)))


def test_gradients_flow_through_both_and_no_hook_is_left():
    model, x = tnn.Sequential(tnn.Linear(4, 5), tnn.Linear(5, 3)), torch.randn(2, 4)
    features, logits = features_and_logits(model, x)
    (features.sum() + logits.sum()).backward()
    assert model[0].weight.grad.abs().sum() > 0
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_hooks_are_taken_off_when_the_model_fails():
    model = tnn.Sequential(tnn.Linear(4, 5))
    with pytest.raises(RuntimeError):
        features_and_logits(model, torch.zeros(2, 3))
    assert not model[0]._forward_pre_hooks


@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (tnn.Conv2d(1, 2, 3), torch.zeros(1, 1, 4, 4), "no nn.Linear ran"),
        (tnn.Linear(4, 2), torch.zeros(3, 5, 4), "its last nn.Linear reads \\(3, 5, 4\\)"),
    ],
)
def test_where_there_are_none_it_says_what_to_do(model, x, message):
    with pytest.raises(InputError, match=message):
        features_and_logits(model, x)
