import math

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from farfield.errors import InputError
from farfield.methods import dann, erm
from farfield.methods.dann import _discriminator
from farfield.methods.method import training_batches
from farfield.tasks import Classes, Table, Task, Vector


def test_equals_a_loop_with_two_gradients_in_place_of_the_reversal(task, new_model, check_same, differ, settings):
    fitted = dann(new_model(), task, weight=20.0, width=16, **settings)

    model = new_model()
    discriminator = _discriminator(model, task, width=16, seed=settings["seed"]).discriminator
    encoder, head, judge = ([*m.parameters()] for m in (model.encoder, model.head, discriminator))
    optimizer = torch.optim.AdamW(
        [*encoder, *head, *judge], lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    for step in range(settings["steps"]):
        batch = task.train[next(batches)]
        strength = 20.0 * (2 / (1 + math.exp(-10 * step / settings["steps"])) - 1)
        features = model.features(batch["x"])
        risk = cross_entropy(model.head(features), batch["y"])
        confusion = cross_entropy(discriminator(features), batch["domain"])
        wanted = torch.autograd.grad(risk, encoder, retain_graph=True)
        unwanted = torch.autograd.grad(confusion, encoder, retain_graph=True)
        for p, a, b in zip(encoder, wanted, unwanted):
            p.grad = a - strength * b
        for p, g in zip(head, torch.autograd.grad(risk, head)):
            p.grad = g
        for p, g in zip(judge, torch.autograd.grad(confusion, judge)):
            p.grad = g
        optimizer.step()
    check_same(fitted.model, model)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_weight_zero_is_erm_step_for_step(task, new_model, check_same, settings):
    a = dann(new_model(), task, weight=0.0, **settings)
    check_same(a.model, erm(new_model(), task, **settings).model, exact=True)


def test_the_features_lose_the_domain(new_model):
    # The domain lies in the fourth input, apart from the class, so that the features need not keep it.
    g = torch.Generator().manual_seed(0)
    y, domain = torch.randint(3, (600,), generator=g), torch.arange(600) % 2
    x = torch.randn(600, 4, generator=g) * 0.5 + 3 * one_hot(y, 4)
    x[:, 3] += 3 * domain
    rows = Table(x=x, y=y, domain=domain)
    task = Task("marked", rows, rows, {"iid": rows}, Vector(4), Classes(3), ("a", "b"))

    def spread(model):
        """Distance of the domains' mean features, in units of the features' standard deviation."""
        with torch.no_grad():
            features = model.features(x)
        gap = features[domain == 0].mean(0) - features[domain == 1].mean(0)
        return (gap.norm() / features.std(0).norm()).item()

    budget = {"steps": 300, "batch_size": 64, "learning_rate": 0.01}
    kept, lost = erm(new_model(), task, **budget).model, dann(new_model(), task, weight=1.0, **budget).model
    assert spread(lost) < 0.3 * spread(kept), (spread(lost), spread(kept))
    assert (lost(x).argmax(1) == y).float().mean() > 0.95


def test_making_the_discriminator_leaves_model_and_random_state_alone(task, new_model, check_same):
    model, state = new_model(normalise=True, dropout=0.5), torch.get_rng_state()
    model.encoder[1].eval()
    loss = _discriminator(model, task, width=7, seed=0)
    check_same(model, new_model(normalise=True), exact=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and not model.encoder[1].training
    assert [tuple(p.shape) for p in loss.discriminator.parameters() if p.ndim == 2] == [(7, 8), (7, 7), (3, 7)]


@pytest.mark.parametrize("bad", [{"weight": -1.0}, {"width": 0}])
def test_settings_out_of_range_are_refused(bad, task, new_model):
    with pytest.raises(InputError, match=f"{next(iter(bad))} is"):
        dann(new_model(), task, steps=1, **bad)
