import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, fisher_sam
from farfield.methods.method import training_batches


def by_hand(model, task, settings, gamma, eta):
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    for _ in range(settings["steps"]):
        batch = task.train[next(batches)]
        grads = torch.autograd.grad(cross_entropy(model(batch["x"]), batch["y"]), parameters)
        buffers = [b.clone() for b in model.buffers()]
        before = [p.detach().clone() for p in parameters]
        inverse = [1 / (1 + eta * g**2) for g in grads]
        norm = sum((i * g * g).sum() for i, g in zip(inverse, grads)) ** 0.5
        with torch.no_grad():
            for p, i, g in zip(parameters, inverse, grads):
                p.add_(gamma * i * g / norm)
        worst = torch.autograd.grad(cross_entropy(model(batch["x"]), batch["y"]), parameters)
        with torch.no_grad():
            for p, b in zip(parameters, before):
                p.copy_(b)
            for b, kept in zip(model.buffers(), buffers):
                b.copy_(kept)
        for p, g in zip(parameters, worst):
            p.grad = g
        optimizer.step()
    return model


@pytest.mark.parametrize("normalise", [False, True])
def test_equals_the_two_passes_written_out(normalise, task, new_model, check_same, differ, settings):
    fitted = fisher_sam(new_model(normalise=normalise), task, gamma=0.8, eta=50.0, **settings)
    check_same(fitted.model, by_hand(new_model(normalise=normalise), task, settings, 0.8, 50.0))
    assert differ(fitted.model, erm(new_model(normalise=normalise), task, **settings).model)


def test_radius_zero_is_erm_bitwise(task, new_model, check_same, settings):
    a = fisher_sam(new_model(normalise=True), task, gamma=0.0, **settings)
    check_same(a.model, erm(new_model(normalise=True), task, **settings).model, exact=True)


def test_a_negative_setting_is_refused(task, new_model):
    with pytest.raises(InputError, match=r"eta is -1\.0; it must be at least 0"):
        fisher_sam(new_model(), task, steps=1, eta=-1.0)
