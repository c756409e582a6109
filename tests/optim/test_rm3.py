"""RM3: the rolling median of gradients, on any base optimizer."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.optim import RM3

BASES = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    "adamw": (torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.1, "fused": True}),
}
each_base = pytest.mark.parametrize("base", BASES)
GRADIENTS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))


def build(base, params, **settings):
    cls, own = BASES[base]
    return RM3(params, cls, **settings, **own)


def follow(optimizer, theta, gradients):
    for g in gradients:
        theta.grad = g.clone()
        optimizer.step()
    return theta.detach().clone()


@each_base
@pytest.mark.parametrize("window", [1, 3, 5])
def test_the_base_optimizer_sees_the_median_of_the_raw_gradients_once(base, window):
    theta, other = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    found = follow(build(base, [theta], window=window), theta, GRADIENTS)
    cls, own = BASES[base]
    medians = [
        torch.from_numpy(np.median(GRADIENTS[max(0, t - window + 1) : t + 1], axis=0)) if t >= window - 1 else g
        for t, g in enumerate(GRADIENTS)
    ]
    assert torch.allclose(found, follow(cls([other], **own), other, medians), atol=1e-6)


@each_base
def test_a_constant_gradient_is_the_base_optimizer_bitwise(base):
    theta, other = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    cls, own = BASES[base]
    constant = [GRADIENTS[0]] * 6
    assert torch.equal(follow(build(base, [theta]), theta, constant), follow(cls([other], **own), other, constant))


def test_a_direction_of_a_single_batch_is_dropped():
    theta = nn.Parameter(torch.zeros(2))
    gradients = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 50.0], [1.0, 0.0], [1.0, 0.0]])
    assert follow(RM3([theta], torch.optim.SGD, lr=1.0), theta, gradients).tolist() == [-5, 0]


def test_the_gradient_stays_the_callers_who_may_write_to_it():
    theta = nn.Parameter(torch.zeros(1))
    optimizer = RM3([theta], torch.optim.SGD, lr=1.0)
    theta.grad = held = torch.tensor([1.0])
    for value in (1.0, 5.0, 3.0):
        held.fill_(value)
        optimizer.step()
        assert theta.grad is held and held.item() == value
    assert theta.item() == -1 - 5 - 3


@each_base
def test_the_state_dict_goes_on_where_it_stopped(base):
    a = nn.Parameter(torch.ones(5))
    first = build(base, [a])
    follow(first, a, GRADIENTS[:4])
    b = nn.Parameter(a.detach().clone())
    second = build(base, [b])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(follow(first, a, GRADIENTS[4:]), follow(second, b, GRADIENTS[4:]))


def test_parameters_without_gradient_are_skipped_and_keep_their_history():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = RM3([a, b], torch.optim.SGD, lr=1.0)
    for ga, gb in ((1.0, 1.0), (5.0, None), (3.0, 5.0), (None, 3.0)):
        a.grad, b.grad = (None if g is None else torch.tensor([g]) for g in (ga, gb))
        optimizer.step()
    assert a.item() == -9 and b.item() == -9


def test_groups_schedulers_and_a_closure():
    a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    groups = [{"params": [a], "lr": 0.0}, {"params": [b]}]
    optimizer = RM3(groups, torch.optim.SGD, lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.0)

    def closure():
        optimizer.zero_grad()
        loss = (a + b).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2
    scheduler.step()
    optimizer.step(closure)
    assert (a.item(), b.item()) == (1, 0.5)
    assert set(groups[0]) == {"params", "lr"}


def test_a_gradient_scaler_changes_nothing_but_the_scale():
    theta, other = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(5))
    optimizer, scaler = build("sgd", [theta]), torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaler.scale(torch.zeros(()))
    for g in GRADIENTS:
        theta.grad = g * scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
    assert torch.allclose(theta, follow(build("sgd", [other]), other, GRADIENTS))


@pytest.mark.parametrize("window", [0, 2, -1, 1.5])
def test_a_window_that_is_not_odd_is_refused(window):
    with pytest.raises(InputError, match=rf"window is {window}; it must be an odd whole number"):
        RM3([nn.Parameter(torch.ones(1))], torch.optim.SGD, window=window, lr=0.1)
