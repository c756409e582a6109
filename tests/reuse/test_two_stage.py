"""Fine-tuning each network alone, then one head."""

import copy

import pytest
import torch
from torch import nn

from farfield import tasks
from farfield.errors import InputError
from farfield.nn import Classifier
from farfield.reuse import Cat, finetune, two_stage_finetune
from farfield.tasks import Table
from farfield.train import predict


def encoder(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU())


def stage1(model, data, seed):
    finetune(model, data, steps=8, learning_rate=0.1, seed=seed)


def test_without_the_second_stage_it_is_the_mean_of_the_tuned_networks():
    task, encoders = tasks.load("digits"), [encoder(0), encoder(1)]
    before = copy.deepcopy(encoders[0].state_dict())
    apart = []
    model = two_stage_finetune(
        encoders, None, task, stage1=lambda m, d, s: (stage1(m, d, s), apart.append(m)), stage2_epochs=0
    )
    mean = sum(predict(m, task.val) for m in apart) / 2
    assert torch.allclose(predict(model, task.val), mean, atol=1e-4)
    # The caller's networks are as they were, and both were trained.
    assert all(torch.equal(v, before[k]) for k, v in encoders[0].state_dict().items())
    assert not torch.equal(apart[0].encoder[1].weight, encoders[0][1].weight)


def test_the_second_stage_trains_the_head_alone_by_the_named_steps():
    task, encoders = tasks.load("digits"), [encoder(0), encoder(1)]
    settings = {"stage1": stage1, "batch_size": 64, "seed": 3}
    first = two_stage_finetune(encoders, None, task, stage2_epochs=0, **settings)
    both = two_stage_finetune(encoders, None, task, stage2_epochs=1, stage2_lr=0.5, **settings)
    for p, q in zip(first.encoder.parameters(), both.encoder.parameters()):
        assert torch.equal(p, q) and not q.requires_grad
    # The head by hand: SGD with momentum 0.9 on the frozen features.
    from farfield.batches import uniform

    head, z, y = copy.deepcopy(first.head), predict(first.encoder, task.train), task.train.columns["y"]
    sgd, stream = torch.optim.SGD(head.parameters(), lr=0.5, momentum=0.9), uniform(len(z), 64, seed=3)
    for _ in range(-(-len(z) // 64)):
        rows = next(stream)
        sgd.zero_grad()
        nn.functional.cross_entropy(head(z[rows]), y[rows]).backward()
        sgd.step()
    assert torch.allclose(both.head.weight, head.weight, atol=1e-5)


def test_given_heads_are_where_it_starts():
    task, heads = tasks.load("digits"), [nn.Linear(8, 10), nn.Linear(8, 10)]
    encoders = [encoder(0), encoder(1)]
    model = two_stage_finetune(encoders, heads, task, stage1=lambda m, d, s: None, stage2_epochs=0)
    cat = Cat([copy.deepcopy(e) for e in encoders])
    assert torch.equal(model.head.weight, cat.head_from(heads).weight)


def test_the_rate_falls_by_a_cosine():
    data = Table(x=torch.ones(1, 1), y=torch.zeros(1, dtype=torch.long))
    moved = {}
    for steps in (1, 4):
        model = Classifier(nn.Flatten(), nn.Linear(1, 2))
        nn.init.zeros_(model.head.weight), nn.init.zeros_(model.head.bias)
        finetune(model, data, steps=steps, learning_rate=1e-4)
        moved[steps] = float(model.head.bias[0].detach())
    # Tiny steps leave the gradient at 1/2: with momentum 0.9, the sum of rates times 1, 1.9, 2.71, 3.439.
    rates = [1, 0.5 * (1 + 2**-0.5), 0.5, 0.5 * (1 - 2**-0.5)]
    expected = 0.5 * 1e-4 * sum(r * v for r, v in zip(rates, (1, 1.9, 2.71, 3.439)))
    assert moved[1] == pytest.approx(0.5e-4, rel=1e-3) and moved[4] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("encoders", "more", "message"),
    [
        ([], {}, "encoders is empty"),
        ([encoder(0)], {"heads": [nn.Linear(8, 10)] * 2}, "2 heads came for 1 encoders"),
        ([encoder(0)], {"stage2_epochs": -1}, "stage2_epochs is -1"),
    ],
)
def test_what_does_not_fit_is_refused(encoders, more, message):
    arguments = {"heads": None, "task": tasks.load("digits"), "stage1": stage1, **more}
    with pytest.raises(InputError, match=message):
        two_stage_finetune(encoders, **arguments)
