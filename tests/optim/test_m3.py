"""M3: the median of the gradients of groups, on any base optimizer."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.optim import M3

X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(3, 2)


def closures(model, parts):
    def part(x):
        def closure():
            loss = model(x).square().mean()
            loss.backward()
            return loss

        return closure

    return [part(x) for x in parts]


@pytest.mark.parametrize("groups", [1, 3, 5])
@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.AdamW])
def test_equals_the_median_written_out(groups, base):
    model, other = network(), network()
    optimizer, plain = M3(model.parameters(), base, groups=groups, lr=0.1), base(other.parameters(), lr=0.1)
    parts = [X[i::groups] for i in range(groups)]
    for _ in range(3):
        loss = optimizer.step(closures(model, parts))
        losses = [other(x).square().mean() for x in parts]
        gradients = [torch.autograd.grad(value, list(other.parameters())) for value in losses]
        for p, *found in zip(other.parameters(), *gradients):
            p.grad = torch.from_numpy(np.median(torch.stack(found), axis=0))
        plain.step()
        assert loss.item() == pytest.approx(sum(v.item() for v in losses) / groups)
        assert all(torch.allclose(p, q, atol=1e-6) for p, q in zip(model.parameters(), other.parameters()))


def test_equal_groups_are_the_base_optimizer():
    model, other = network(), network()
    optimizer, sgd = M3(model.parameters(), torch.optim.SGD, lr=0.1), torch.optim.SGD(other.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.step(closures(model, [X] * 3))
        sgd.zero_grad()
        other(X).square().mean().backward()
        sgd.step()
        assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters()))


def test_one_closure_for_all_is_told_its_group():
    model, other = network(), network()
    one, three = (M3(m.parameters(), torch.optim.SGD, lr=0.1) for m in (model, other))
    seen = []

    def closure():
        seen.append(one.group)
        one.zero_grad()
        loss = model(X[one.group :: one.groups]).square().mean()
        loss.backward()
        return loss

    assert torch.equal(one.step(closure), three.step(closures(other, [X[i::3] for i in range(3)])))
    assert seen == [0, 1, 2] and one.group == 0
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters()))


def test_a_group_that_does_not_reach_a_parameter_counts_as_0_there():
    a, b, unused = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    optimizer = M3([a, b, unused], torch.optim.SGD, lr=1.0)

    def reach(*values):
        def closure():
            loss = sum(v * p.sum() for v, p in values)
            loss.backward()
            return loss

        return closure

    optimizer.step([reach((2.0, a), (4.0, b)), reach((3.0, a)), reach((9.0, a))])
    assert (a.item(), b.item(), unused.item()) == (-3, 0, 0)
    assert a.grad.item() == 3 and unused.grad is None


def test_the_state_dict_goes_on_where_it_stopped():
    model = network()
    first = M3(model.parameters(), torch.optim.AdamW, lr=0.1)
    first.step(closures(model, X.split(3)))
    other = copy.deepcopy(model)
    second = M3(other.parameters(), torch.optim.AdamW, lr=7.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for optimizer, m in ((first, model), (second, other)):
        optimizer.step(closures(m, X.split(3)))
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters()))


def test_what_does_not_fit_is_refused():
    model = network()
    for groups in (0, 2, 1.5):
        with pytest.raises(InputError, match=rf"groups is {groups}; it must be an odd whole number"):
            M3(model.parameters(), torch.optim.SGD, groups=groups, lr=0.1)
    optimizer = M3(model.parameters(), torch.optim.SGD, lr=0.1)
    with pytest.raises(InputError, match="2 closures came; M3 needs one for each of its 3 groups"):
        optimizer.step(closures(model, [X, X]))
    with pytest.raises(InputError, match="0 closures came"):
        optimizer.step()
