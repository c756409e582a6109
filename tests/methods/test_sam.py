import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.methods import asam, erm, sam
from farfield.methods.method import training_batches


def by_hand(model, task, perturbation, settings):
    """Two backward passes and AdamW, written out; batch statistics are kept from the first pass."""
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    for _ in range(settings["steps"]):
        batch = task.train[next(batches)]
        grads = torch.autograd.grad(cross_entropy(model(batch["x"]), batch["y"]), parameters)
        buffers = [b.clone() for b in model.buffers()]
        before = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, e in zip(parameters, perturbation(before, grads)):
                p.add_(e)
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


def sam_ascent(_, grads):
    norm = torch.cat([g.flatten() for g in grads]).norm()
    return [0.3 * g / norm for g in grads]


def asam_ascent(weights, grads):
    scales = [w.abs() + 0.05 for w in weights]
    norm = torch.cat([(t * g).flatten() for t, g in zip(scales, grads)]).norm()
    return [0.8 * t**2 * g / norm for t, g in zip(scales, grads)]


CASES = {"sam": (sam, {"rho": 0.3}, sam_ascent), "asam": (asam, {"rho": 0.8, "eta": 0.05}, asam_ascent)}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("normalise", [False, True])
def test_equals_the_two_passes_written_out(name, normalise, task, new_model, check_same, differ, settings):
    recipe, own, ascent = CASES[name]
    fitted = recipe(new_model(normalise=normalise), task, **own, **settings)
    check_same(fitted.model, by_hand(new_model(normalise=normalise), task, ascent, settings))
    assert differ(fitted.model, erm(new_model(normalise=normalise), task, **settings).model)


@pytest.mark.parametrize("recipe", [sam, asam])
def test_radius_zero_is_erm_bitwise(recipe, task, new_model, check_same, settings):
    a = recipe(new_model(normalise=True), task, rho=0.0, **settings)
    b = erm(new_model(normalise=True), task, **settings)
    check_same(a.model, b.model, exact=True)
    assert a.history.loss == b.history.loss


@pytest.mark.parametrize("recipe", [sam, asam])
def test_running_statistics_move_once_per_step(recipe, task, new_model, settings):
    model = recipe(new_model(normalise=True), task, **settings).model
    assert model.encoder[1].num_batches_tracked == settings["steps"]
