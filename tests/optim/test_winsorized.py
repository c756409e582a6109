"""Winsorized gradients of single examples, on any base optimizer."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.nn import per_example_gradients
from farfield.optim import WinsorizedGrad, winsorized_mean

BASES = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    "adamw": (torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.1, "fused": True}),
}
each_base = pytest.mark.parametrize("base", BASES)
G = torch.Generator().manual_seed(0)
X, Y = torch.randn(11, 3, generator=G), torch.randint(2, (11,), generator=G)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def fill(model):
    losses, gradients = per_example_gradients(model, lambda o, y: cross_entropy(o, y, reduction="none"), X, Y)
    for name, p in model.named_parameters():
        p.grad_sample = gradients[name]
    return losses.mean()


@each_base
@pytest.mark.parametrize("c", [0, 2, 5])
def test_the_base_optimizer_sees_the_winsorized_mean(base, c):
    cls, own = BASES[base]
    model, other = network(), network()
    optimizer, plain = WinsorizedGrad(model.parameters(), cls, c=c, **own), cls(other.parameters(), **own)
    for _ in range(4):
        loss = optimizer.step(lambda: fill(model))
        plain.zero_grad()
        value = cross_entropy(other(X), Y)
        if c:
            fill(other)
            for p in other.parameters():
                p.grad = winsorized_mean(p.grad_sample, c)
        else:
            value.backward()
        plain.step()
        assert loss.item() == pytest.approx(value.item(), abs=1e-5)
        assert all(torch.allclose(p, q, atol=1e-5) for p, q in zip(model.parameters(), other.parameters()))


def test_what_c_examples_ask_for_alone_is_dropped():
    theta = nn.Parameter(torch.zeros(2))
    theta.grad_sample = torch.tensor([[1.0, 0.0]] * 6 + [[1.0, 100.0], [1.0, -300.0]])
    WinsorizedGrad([theta], torch.optim.SGD, c=1, lr=1.0).step()
    assert theta.tolist() == [-1, 0]


def test_samples_are_taken_once_gradients_stay_and_what_has_none_is_skipped():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(1))
    optimizer = WinsorizedGrad([a, b], torch.optim.SGD, c=1, lr=1.0)
    a.grad_sample, a.grad, b.grad = torch.ones(3, 1), torch.tensor([7.0]), torch.tensor([9.0])
    optimizer.step()
    assert (a.item(), b.item(), a.grad.item(), b.grad.item()) == (-1, 1, 7, 9)
    assert a.grad_sample is None
    with pytest.raises(InputError, match="no parameter has grad_sample"):
        optimizer.step()


@each_base
def test_the_state_dict_goes_on_where_it_stopped(base):
    cls, own = BASES[base]
    model = network()
    first = WinsorizedGrad(model.parameters(), cls, c=2, **own)
    first.step(lambda: fill(model))
    other = copy.deepcopy(model)
    second = WinsorizedGrad(other.parameters(), cls, c=2, **own)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    first.step(lambda: fill(model))
    second.step(lambda: fill(other))
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters()))


def test_what_does_not_fit_is_refused_and_nothing_moves():
    theta = nn.Parameter(torch.zeros(2))
    with pytest.raises(InputError, match="c is -1"):
        WinsorizedGrad([theta], torch.optim.SGD, c=-1, lr=1.0)
    optimizer = WinsorizedGrad([theta], torch.optim.SGD, c=2, lr=1.0)
    theta.grad_sample = torch.ones(4, 2)
    with pytest.raises(InputError, match="c is 2 of 4 examples"):
        optimizer.step()
    theta.grad_sample = torch.ones(2)
    with pytest.raises(InputError, match=r"of shape \(2,\) has shape \(2,\); expected \(b, ...\)"):
        optimizer.step()
    assert theta.tolist() == [0, 0]
