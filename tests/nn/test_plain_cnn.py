import pytest
import torch

from farfield import nn, tasks
from farfield.errors import InputError
from farfield.nn import alexnet, plain_cnn
from farfield.tasks import Classes, Image, Table, Task


def of_images(channels, height, width, classes=7):
    rows = Table(x=torch.zeros(2, channels, height, width), y=torch.tensor([0, 1]), domain=torch.tensor([0, 0]))
    return Task("mine", rows, rows, {"iid": rows}, Image(channels, height, width), Classes(classes), ("a",))


def shapes(model, x):
    found = {}
    for name, layer in model.named_children():
        x = layer(x)
        found[name] = tuple(x.shape[1:])
    return found


def test_layers_have_the_papers_names_and_the_small_studys_sizes():
    found = shapes(plain_cnn(tasks.load("digits")), torch.zeros(1, 1, 8, 8))
    assert {name: found[name] for name in ("conv1", "conv2", "conv3", "fc", "logits")} == {
        "conv1": (16, 8, 8),
        "conv2": (32, 4, 4),
        "conv3": (32, 2, 2),
        "fc": (64,),
        "logits": (10,),
    }


def test_units_are_rectified_but_for_the_logits():
    model = plain_cnn(of_images(3, 8, 12), channels=(4, 6), hidden=5)
    x = torch.randn(8, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    outputs = {}
    for name, layer in model.named_children():
        x = outputs[name] = layer(x)
    assert all(float(outputs[name].detach().min()) >= 0 for name in ("conv1", "conv2", "fc"))
    assert float(outputs["logits"].detach().min()) < 0 and outputs["conv2"].shape == (8, 6, 4, 6)


@pytest.mark.parametrize("side, last", [(224, 5), (67, 1)])
def test_alexnet_has_the_published_units(side, last):
    with torch.device("meta"):
        model = alexnet(of_images(3, side, side))
        found = shapes(model, torch.zeros(1, 3, side, side))
    widths = [found[f"conv{i}"][0] for i in range(1, 6)]
    assert widths == [96, 256, 384, 384, 256] and found["pool5"] == (256, last, last)
    assert found["fc6"] == found["fc7"] == (4096,) and found["logits"] == (7,)
    # Weights of convolutions in one group: 11*11*3*96 and 5*5*96*256 and so on, with a bias each.
    count = sum(p.numel() for name, p in model.named_parameters() if name.startswith("conv"))
    assert count == 34_944 + 614_656 + 885_120 + 1_327_488 + 884_992


def test_both_are_models_by_name_drawn_from_a_seed():
    task = tasks.load("digits")
    one, same, other = (nn.load("farfield.nn.plain_cnn:plain_cnn", task, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.fc[0].weight, same.fc[0].weight) and not torch.equal(one.fc[0].weight, other.fc[0].weight)


def test_tasks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="expected images of at least 4x4"):
        plain_cnn(of_images(1, 3, 8))
    with pytest.raises(InputError, match="expected images of at least 67x67"):
        alexnet(tasks.load("digits"))
