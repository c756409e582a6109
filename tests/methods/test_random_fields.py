from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.augment import RandomFieldAffine, RandomFieldColor
from farfield.errors import InputError
from farfield.methods import erm, random_field_transforms, random_fields
from farfield.methods.method import training_batches
from farfield.nn import Classifier
from farfield.tasks import Image, Table


def as_images(table, channels):
    x = torch.sigmoid(table.columns["x"]).view(-1, 1, 2, 2).expand(-1, channels, -1, -1).contiguous()
    return table.replace(x=x)


@pytest.fixture(params=[1, 3])
def image_task(task, request):
    tests = {name: as_images(split, request.param) for name, split in task.tests.items()}
    train, val = as_images(task.train, request.param), as_images(task.val, request.param)
    return replace(task, train=train, val=val, tests=tests, inputs=Image(request.param, 2, 2))


def new_model(channels):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Classifier(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * channels, 8), torch.nn.ReLU()),
            torch.nn.Linear(8, 3),
        )


def test_equals_a_plain_loop_over_augmented_batches(image_task, check_same, differ, settings):
    channels, seed = image_task.inputs.channels, settings["seed"]
    # At half strength: half of the documented standard deviations, warps from seed 2 s, colours from 2 s + 1.
    warp = RandomFieldAffine(0.25, 0.15, 0.15, 0.075, gamma=2.0, p=0.7, seed=2 * seed)
    of = {"brightness": 0.15} if channels == 1 else {"hue": 0.05, "saturation": 0.15, "brightness": 0.15}
    recolor = RandomFieldColor(**of, gamma=2.0, p=0.7, seed=2 * seed + 1)
    model, batches = new_model(channels), training_batches(image_task, settings["batch_size"], seed=seed)
    rates = {"lr": settings["learning_rate"], "weight_decay": settings["weight_decay"]}
    optimizer = torch.optim.AdamW(model.parameters(), **rates)
    for _ in range(settings["steps"]):
        batch = image_task.train[next(batches)]
        optimizer.zero_grad()
        cross_entropy(model(recolor(warp(batch["x"]))), batch["y"]).backward()
        optimizer.step()
    fitted = random_fields(new_model(channels), image_task, strength=0.5, gamma=2.0, p=0.7, **settings)
    check_same(fitted.model, model)
    assert differ(fitted.model, erm(new_model(channels), image_task, **settings).model)


@pytest.mark.parametrize("off", [{"strength": 0.0}, {"p": 0.0}])
def test_without_strength_or_probability_it_is_erm(image_task, check_same, settings, off):
    channels = image_task.inputs.channels
    fitted = random_fields(new_model(channels), image_task, **off, **settings)
    check_same(fitted.model, erm(new_model(channels), image_task, **settings).model)


def test_images_of_other_channels_are_warped_only():
    kinds = [[type(t) for t in random_field_transforms(0.5, channels=c, seed=0)] for c in (1, 2, 3)]
    assert kinds == [[RandomFieldAffine, RandomFieldColor], [RandomFieldAffine], [RandomFieldAffine, RandomFieldColor]]
    (only,) = random_field_transforms(0.5, channels=3, seed=0, spatial=False)
    assert isinstance(only, RandomFieldColor)


def test_other_inputs_and_settings_are_refused_before_training(task, image_task, settings):
    with pytest.raises(InputError, match="random-fields warps images, and the task small has"):
        random_fields(new_model(1), task, **settings)
    with pytest.raises(InputError, match="strength is -1"):
        random_fields(new_model(1), image_task, strength=-1.0, **settings)
    outside = Table(**{**image_task.train.columns, "x": image_task.train.columns["x"] * 300})
    with pytest.raises(InputError, match=r"colours need them in \[0, 1\]"):
        random_fields(new_model(1), replace(image_task, train=outside), **settings)
