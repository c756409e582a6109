import numpy as np
import pytest
import torch

from farfield import methods, tasks
from farfield import nn as models
from farfield.errors import InputError
from farfield.methods import erm, m3
from farfield.methods.method import training_batches
from farfield.train import predict


def test_equals_the_median_of_means_written_out(task, new_model, check_same, differ, settings):
    fitted = m3(new_model(), task, **settings)
    model = new_model()
    parameters = list(model.parameters())
    adamw = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    for loss in fitted.history.loss:
        batch = task.train[next(batches)]
        parts = [torch.nn.functional.cross_entropy(model(batch["x"][i::3]), batch["y"][i::3]) for i in range(3)]
        assert loss == pytest.approx(sum(p.item() for p in parts) / 3, abs=1e-4)
        gradients = [torch.autograd.grad(value, parameters) for value in parts]
        for i, p in enumerate(parameters):
            p.grad = torch.from_numpy(np.median(torch.stack([g[i] for g in gradients]), axis=0))
        adamw.step()
    check_same(fitted.model, model)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_one_group_is_erm(task, new_model, check_same, settings):
    a = m3(new_model(dropout=0.3), task, groups=1, **settings)
    check_same(a.model, erm(new_model(dropout=0.3), task, **settings).model)


def test_every_part_has_its_share_of_every_domain(task, settings):
    rows = next(training_batches(task, settings["batch_size"], seed=0))
    domain = task.train[rows]["domain"]
    for i in range(3):
        counts = torch.bincount(domain[i::3], minlength=3)
        assert counts.max() - counts.min() <= 1


def test_a_batch_smaller_than_its_groups_is_refused_before_training(task, new_model):
    with pytest.raises(InputError, match="groups is 5; m3 needs an example for each in a batch, which has 4"):
        m3(new_model(), task, steps=1, batch_size=4, groups=5)


@pytest.mark.parametrize("model", ["linear", "mlp?hidden=64&dropout=0.1", "cnn?width=8", "resnet?width=8"])
def test_on_real_images_it_learns(model):
    task = tasks.load("digits/rotation")
    fitted = methods.load("m3")(models.load(model, task), task, steps=80)
    near = predict(fitted.model, task.tests["iid"])
    assert (near.argmax(1) == task.tests["iid"].columns["y"]).float().mean() > 0.7
