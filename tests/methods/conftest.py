"""A small task with three training domains, models for it, and a plain training loop to compare recipes with."""

import pytest
import torch
from torch import nn

from farfield.methods.method import training_batches
from farfield.nn import Classifier
from farfield.tasks import Classes, Table, Task, Vector

SETTINGS = {"steps": 6, "batch_size": 24, "seed": 3, "learning_rate": 0.01, "weight_decay": 0.1}


def rows(n, seed, domains=3):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=g)
    domain = torch.arange(n) % domains
    x = torch.randn(n, 4, generator=g) + nn.functional.one_hot(y, 4) * 3 + 0.5 * domain[:, None]
    return Table(x=x, y=y, domain=domain)


def make_task(domains=3):
    train, val, far = rows(90, 0, domains), rows(120, 1, domains), rows(30, 2, 1)
    names = tuple("abc"[:domains])
    return Task("small", train, val, {"iid": val, "far": far}, Vector(4), Classes(3), names)


@pytest.fixture
def settings():
    return dict(SETTINGS)


@pytest.fixture
def task():
    return make_task()


@pytest.fixture
def one_domain_task():
    return make_task(domains=1)


@pytest.fixture
def new_model():
    """Return a function that makes the same model each time: layers from a fixed seed."""

    def make(*, normalise=False, dropout=0.0):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            # A bias before normalisation has a gradient of rounding errors alone, which Adam would enlarge.
            norm = nn.BatchNorm1d(8) if normalise else nn.Identity()
            return Classifier(
                nn.Sequential(nn.Linear(4, 8, bias=not normalise), norm, nn.ReLU(), nn.Dropout(dropout)),
                nn.Linear(8, 3),
            )

    return make


@pytest.fixture
def plain_loop(task):
    """Return a function that trains with AdamW in a plain loop: ``loss(model, batch, step)``, steps from 0."""

    def loop(model, loss, *, steps, batch_size, seed, learning_rate, weight_decay, fresh_optimizer_at=None, more=()):
        def fresh():
            parameters = [*model.parameters(), *more]
            return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)

        optimizer, values = fresh(), []
        batches = training_batches(task, batch_size, seed=seed)
        for step in range(steps):
            if step == fresh_optimizer_at:
                optimizer = fresh()
            optimizer.zero_grad()
            value = loss(model, task.train[next(batches)], step)
            value.backward()
            optimizer.step()
            values.append(value.item())
        return model, values

    return loop


@pytest.fixture
def check_same():
    """Return a function that compares all weights of two models."""

    def check(a, b, *, exact=False):
        for (name, p), q in zip(a.state_dict().items(), b.state_dict().values()):
            same = torch.equal(p, q) if exact else torch.allclose(p.double(), q.double(), atol=2e-5)
            assert same, f"{name} differs by {(p - q).abs().max()}"

    return check


@pytest.fixture
def differ():
    """Return a function that says whether two models differ by more than rounding."""

    def check(a, b):
        pairs = zip(a.parameters(), b.parameters())
        return any((p - q).abs().max() > 1e-3 for p, q in pairs)

    return check
