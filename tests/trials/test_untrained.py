import importlib.util

import pytest
import torch

from farfield import nn
from farfield.errors import InputError, MissingExtra
from farfield.tasks import Classes, Image, Table, Task, Vector
from farfield.trials.untrained import densenet121, mobilenetv2, resnet50, untrained


def task(inputs, x):
    rows = Table(x=x, y=torch.arange(len(x)) % 2)
    return Task("mine", rows, rows, {"iid": rows}, inputs, Classes(2), ("here",))


DOMINOES = task(Image(3, 64, 32), torch.rand(4, 3, 64, 32))


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="needs the package timm")
@pytest.mark.parametrize("make", [resnet50, densenet121, mobilenetv2])
def test_images_of_another_shape_are_taken_as_they_are(make):
    model = make(DOMINOES).eval()
    x = DOMINOES.train.columns["x"]
    changed = x.clone()
    changed[:, :, :32] = 0
    assert model(x).shape == (4, 2) and not torch.allclose(model(x), model(changed))


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_without_timm_it_says_what_to_install():
    with pytest.raises(MissingExtra, match="needs the package timm"):
        nn.load("farfield.trials.untrained:resnet50", DOMINOES)


def test_vectors_are_refused():
    with pytest.raises(InputError, match="resnet50 takes images; the task mine has vectors of 3 features"):
        untrained("resnet50", task(Vector(3), torch.rand(4, 3)))
