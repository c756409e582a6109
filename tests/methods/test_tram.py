import copy
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield import methods, tasks
from farfield import nn as models
from farfield.errors import InputError
from farfield.methods import erm, tram, tram_fisher, tram_pretrained, tram_x
from farfield.methods.method import training_batches
from farfield.train import predict


@contextmanager
def seeded(settings):
    with torch.random.fork_rng():
        torch.manual_seed(settings["seed"])
        yield


def kl(target, logits):
    p, q = target.softmax(1), logits.softmax(1)
    return (p * (p / q).log()).sum(1).mean()


def by_hand(model, task, settings, variant):
    """Algorithm 1 written out. ``variant``: what the predictions are compared with."""
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    reference = copy.deepcopy(model).eval()
    noise, radii = torch.Generator().manual_seed(settings["seed"]), []
    with seeded(settings):
        for _ in range(settings["steps"]):
            batch = task.train[next(batches)]
            x, y = batch["x"], batch["y"]
            logits = model(x)
            grads = torch.autograd.grad(cross_entropy(logits, y), parameters)
            buffers = [b.clone() for b in model.buffers()]
            with torch.no_grad():
                if variant == "x":
                    z = torch.empty_like(x).normal_(0, 0.4, generator=noise)
                    state = torch.get_rng_state()
                    target = model(x + z)
                    torch.set_rng_state(state)
                    for b, kept in zip(model.buffers(), buffers):
                        b.copy_(kept)
                else:
                    target = reference(x)
                radii.append(float(kl(target, logits)))
                if variant == "previous":
                    reference = copy.deepcopy(model).eval()
                before = [p.clone() for p in parameters]
                norm = sum((t * g).square().sum() for t, g in zip(before, grads)) ** 0.5
                d = min(radii[-1], 0.5) if variant == "pretrained" else radii[-1]
                for p, t, g in zip(parameters, before, grads):
                    p.add_(d * t**2 * g / norm)
            worst = torch.autograd.grad(cross_entropy(model(x), y), parameters)
            with torch.no_grad():
                for p, t in zip(parameters, before):
                    p.copy_(t)
                for b, kept in zip(model.buffers(), buffers):
                    b.copy_(kept)
            for p, g in zip(parameters, worst):
                p.grad = g
            optimizer.step()
    return model, radii


CASES = {
    "previous": (tram, {}),
    "pretrained": (tram_pretrained, {"max_radius": 0.5}),
    "x": (tram_x, {"sigma": 0.4}),
}


@pytest.mark.parametrize("variant", CASES)
@pytest.mark.parametrize("model_settings", [{}, {"normalise": True, "dropout": 0.3}], ids=["plain", "noisy"])
def test_equals_algorithm_1_written_out(variant, model_settings, task, new_model, check_same, differ, settings):
    recipe, own = CASES[variant]
    settings = {**settings, "steps": 12, "learning_rate": 0.05}
    found: list[float] = []
    fitted = recipe(new_model(**model_settings), task, radii=found, **own, **settings)
    expected, radii = by_hand(new_model(**model_settings), task, settings, variant)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(found), torch.tensor(radii), atol=1e-5, rtol=1e-3)
    assert max(found) > 1e-3
    if variant != "x" and not model_settings:
        assert abs(found[0]) < 1e-6  # without dropout nothing has moved yet
    assert differ(fitted.model, erm(new_model(**model_settings), task, **settings).model)


def test_the_passes_of_a_step_are_three_forward_and_two_backward(task, new_model, settings):
    model, passes = new_model(), []
    handles = [
        model.register_forward_hook(lambda *_: passes.append("forward" if torch.is_grad_enabled() else "reference")),
        model.head.weight.register_hook(lambda g: passes.append("backward")),
    ]
    tram_x(model, task, **{**settings, "steps": 2})
    assert passes == ["forward", "backward", "reference", "forward", "backward"] * 2
    for handle in handles:
        handle.remove()


def test_a_distance_of_zero_is_erm_bitwise(task, new_model, check_same, settings):
    a = tram_x(new_model(normalise=True), task, sigma=0.0, **settings)
    check_same(a.model, erm(new_model(normalise=True), task, **settings).model, exact=True)


def test_fisher_equals_two_passes_of_which_the_first_is_noised(task, new_model, check_same, differ, settings):
    fitted = tram_fisher(new_model(), task, gamma=0.5, eta=50.0, sigma=0.4, **settings)
    model, noise = new_model(), torch.Generator().manual_seed(settings["seed"])
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    for loss in fitted.history.loss:
        batch = task.train[next(batches)]
        x, y = batch["x"], batch["y"]
        noised = cross_entropy(model(x + torch.empty_like(x).normal_(0, 0.4, generator=noise)), y)
        assert loss == pytest.approx(noised.item(), abs=1e-4)
        grads = torch.autograd.grad(noised, parameters)
        inverse = [1 / (1 + 50.0 * g**2) for g in grads]
        norm = sum((i * g * g).sum() for i, g in zip(inverse, grads)) ** 0.5
        before = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, i, g in zip(parameters, inverse, grads):
                p.add_(0.5 * i * g / norm)
        worst = torch.autograd.grad(cross_entropy(model(x), y), parameters)
        with torch.no_grad():
            for p, b in zip(parameters, before):
                p.copy_(b)
        for p, g in zip(parameters, worst):
            p.grad = g
        optimizer.step()
    check_same(fitted.model, model)
    assert differ(fitted.model, methods.fisher_sam(new_model(), task, gamma=0.5, eta=50.0, **settings).model)


@pytest.mark.parametrize("recipe", [tram, tram_pretrained, tram_x, tram_fisher])
def test_running_statistics_move_once_per_step(recipe, task, new_model, settings):
    model = recipe(new_model(normalise=True), task, **settings).model
    assert model.encoder[1].num_batches_tracked == settings["steps"]


def test_bad_settings_are_refused_before_training(task, new_model):
    model = new_model()
    with pytest.raises(InputError, match="unknown divergence 'kl_forwards'; nearest: kl_forward"):
        tram(model, task, steps=1, distance="kl_forwards")
    with pytest.raises(InputError, match="unknown module of Classifier 'encode'; nearest: encoder"):
        tram_x(model, task, steps=1, at="encode")
    with pytest.raises(InputError, match=r"max_radius is 0\.0"):
        tram_pretrained(model, task, steps=1, max_radius=0.0)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), new_model().parameters()))


NAMES = ("fisher-sam", "tram", "tram-pretrained", "tram-x", "tram-fisher", "trpo", "mesa", "r3f", "r4f", "smart")


@pytest.mark.parametrize("name", NAMES)
def test_on_real_images_it_learns_and_is_not_plain_training(name):
    task = tasks.load("digits/rotation")
    fitted = methods.load(name)(models.load("mlp?hidden=64&dropout=0.1", task), task, steps=80)
    plain = methods.load("erm")(models.load("mlp?hidden=64&dropout=0.1", task), task, steps=80)
    assert torch.tensor(fitted.history.loss).isfinite().all()
    near = predict(fitted.model, task.tests["iid"])
    assert near.isfinite().all()
    assert (near.argmax(1) == task.tests["iid"].columns["y"]).float().mean() > 0.7
    assert not torch.allclose(near, predict(plain.model, task.tests["iid"]), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_token_models_take_the_noise_in_their_embedding(name, task):
    rows = tasks.Table(
        x=torch.randint(1, 40, (60, 5), generator=torch.Generator().manual_seed(0)),
        y=torch.arange(60) % 3,
        domain=torch.zeros(60, dtype=torch.long),
    )
    words = tasks.Task("words", rows, rows, {"iid": rows}, tasks.Tokens(40, 5), tasks.Classes(3), ("a",))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Embedding(40, 8), nn.Flatten())
        model = models.Classifier(encoder, nn.Linear(40, 3))
    fitted = methods.load(name)(model, words, steps=60, batch_size=20, learning_rate=0.05)
    assert torch.tensor(fitted.history.loss).isfinite().all()
    assert (predict(fitted.model, rows).argmax(1) == rows.columns["y"]).float().mean() > 0.9
