from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.errors import InputError
from farfield.losses import divergence
from farfield.nn import disable_running_stats
from farfield.optim import ASAM, SAM, TRAM, PreviousStepReference
from farfield.optim._two_step import PIECE

THETA, GRADIENT = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64)
ORACLE = Path(__file__).parents[1] / "data" / "tram.npz"


def ascent(theta, gradient, d, **settings):
    p = nn.Parameter(theta.clone())
    p.grad = gradient.clone()
    TRAM([p], torch.optim.SGD, lr=0.1, **settings).first_step(d)
    return p.data - theta


def test_the_ascent_by_hand():
    assert torch.allclose(ascent(THETA, GRADIENT, 0.5), torch.tensor([0.83205, 0.27735]).double(), atol=1e-5)
    assert torch.allclose(ascent(THETA, GRADIENT, 0.05, adaptive=False), torch.tensor([0.03, 0.04]).double())


@given(st.floats(0, 10), st.floats(1e-3, 1e3))
def test_its_length_relative_to_the_parameters_is_the_divergence_whatever_the_gradients_size(d, scale):
    epsilon = ascent(THETA, scale * GRADIENT, d)
    assert torch.allclose((epsilon / THETA).norm(), torch.tensor(d).double())
    assert (epsilon * GRADIENT >= 0).all()  # uphill in every coordinate, unlike the released code


@pytest.mark.parametrize("adaptive", [0, 1])
def test_the_norm_is_the_official_codes(adaptive):
    with np.load(ORACLE, allow_pickle=False) as oracle:
        arrays = {name: torch.from_numpy(oracle[name]) for name in oracle.files}
    params = [nn.Parameter(arrays[f"param_{j}_adaptive{adaptive}"].clone()) for j in range(3)]
    gradients = [arrays[f"grad_{j}_adaptive{adaptive}"] for j in range(3)]
    before = [p.detach().clone() for p in params]
    for p, g in zip(params, gradients):
        p.grad = g.clone()
    groups = [{"params": params[:1]}, {"params": params[1:]}]
    TRAM(groups, torch.optim.SGD, lr=0.1, adaptive=bool(adaptive)).first_step(0.5)
    norm = arrays[f"grad_norm_adaptive{adaptive}"]
    for p, g, theta in zip(params, gradients, before):
        expected = 0.5 * (theta.square() if adaptive else 1.0) * g / norm
        assert torch.allclose(p.detach() - theta, expected, rtol=1e-4, atol=1e-6)


def closure_for(model, optimizer, seed=0):
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(16, 3, generator=g, dtype=torch.float64), torch.randint(2, (16,), generator=g)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    return closure


def network(seed=0, dropout=0.0, normalise=False):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        middle = [nn.BatchNorm1d(5)] if normalise else []
        return nn.Sequential(nn.Linear(3, 5), *middle, nn.Tanh(), nn.Dropout(dropout), nn.Linear(5, 2)).double()


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_constant_divergence_is_asam_or_sam_with_that_radius(adaptive):
    a, b = network(), network()
    mine = TRAM(a.parameters(), torch.optim.AdamW, adaptive=adaptive, lr=0.05)
    other = (
        ASAM(b.parameters(), torch.optim.AdamW, rho=0.3, eta=0.0, lr=0.05)
        if adaptive
        else SAM(b.parameters(), torch.optim.AdamW, rho=0.3, lr=0.05)
    )
    for _ in range(5):
        mine.step(closure_for(a, mine), divergence=0.3)
        other.step(closure_for(b, other))
    assert all(torch.allclose(p, q, rtol=1e-12) for p, q in zip(a.parameters(), b.parameters()))


def ascended_function(scale):
    """A ReLU network without biases, layer 1 times ``scale`` and layer 2 over it, after the ascent."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(16, 3, generator=g, dtype=torch.float64), torch.randint(2, (16,), generator=g)
    weights = [torch.randn(5, 3, generator=g, dtype=torch.float64), torch.randn(2, 5, generator=g, dtype=torch.float64)]
    first, second = nn.Parameter(weights[0] * scale), nn.Parameter(weights[1] / scale)
    nn.functional.cross_entropy(torch.relu(x @ first.T) @ second.T, y).backward()
    TRAM([first, second], torch.optim.SGD, lr=0.1).first_step(0.5)
    return torch.relu(x @ first.T) @ second.T


@given(st.floats(0.05, 20))
def test_the_function_after_the_ascent_does_not_depend_on_the_scale_of_the_layers(scale):
    assert torch.allclose(ascended_function(scale), ascended_function(1.0))


def test_one_step_on_a_quadratic_in_closed_form():
    # L = a theta^2 / 2, theta > 0: the gradient used is a theta (1 + d), so theta' = theta (1 - lr a (1 + d)).
    theta = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    optimizer = TRAM([theta], torch.optim.SGD, lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = 3 * theta**2 / 2
        loss.backward()
        return loss

    optimizer.step(closure, divergence=0.5)
    assert torch.allclose(theta.data, torch.tensor(2.0 * (1 - 0.1 * 3 * 1.5), dtype=torch.float64))
    assert optimizer.radius == 0.5


def test_a_function_is_called_once_between_the_passes_at_theta_without_gradients():
    model = network()
    optimizer = TRAM(model.parameters(), torch.optim.AdamW, lr=0.05)
    before = [p.detach().clone() for p in model.parameters()]
    calls, inner = [], closure_for(model, optimizer)

    def closure():
        calls.append("pass")
        return inner()

    def measure():
        assert not torch.is_grad_enabled() and not optimizer.perturbed
        assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before))
        calls.append("divergence")
        return torch.tensor(0.25)

    optimizer.step(closure, divergence=measure)
    assert calls == ["pass", "divergence", "pass"]
    assert optimizer.radius == 0.25


def test_a_divergence_that_is_given_wins_over_the_one_that_is_set():
    model = network()
    optimizer = TRAM(model.parameters(), torch.optim.SGD, lr=0.1)
    optimizer.divergence = 0.1
    optimizer.step(closure_for(model, optimizer))
    assert optimizer.radius == 0.1
    optimizer.step(closure_for(model, optimizer), divergence=0.2)
    assert optimizer.radius == 0.2
    optimizer.step(closure_for(model, optimizer), divergence=0.0)
    assert optimizer.radius == 0.0


def test_a_divergence_that_fails_leaves_the_parameters_and_the_optimizer_as_they_were():
    model = network()
    optimizer = TRAM(model.parameters(), torch.optim.SGD, lr=0.1)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ZeroDivisionError):
        optimizer.step(closure_for(model, optimizer), divergence=lambda: 1 / 0)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before))
    assert not optimizer.perturbed


@given(st.floats(0.01, 5), st.floats(0.01, 5))
def test_a_larger_divergence_than_max_radius_counts_as_that(d, most):
    epsilon = ascent(THETA, GRADIENT, torch.tensor(d, dtype=torch.float64), max_radius=most)
    assert torch.allclose(epsilon, ascent(THETA, GRADIENT, min(d, most)))


def test_rounding_below_zero_counts_as_zero_and_what_is_negative_is_refused():
    assert ascent(THETA, GRADIENT, torch.tensor(-1e-7)).tolist() == [0.0, 0.0]
    theta = nn.Parameter(torch.ones(2))
    theta.grad = torch.ones(2)
    optimizer = TRAM([theta], torch.optim.SGD, lr=0.1)
    for bad in (-0.1, float("nan"), torch.tensor(float("inf"))):
        with pytest.raises(InputError, match=r"divergence is .*; it must be at least 0 and finite"):
            optimizer.first_step(bad)
    with pytest.raises(InputError, match=r"divergence has shape \(2,\); expected one number"):
        optimizer.first_step(torch.ones(2))
    assert theta.tolist() == [1.0, 1.0] and not optimizer.perturbed


def test_arguments_out_of_range_and_a_missing_divergence_are_refused():
    params = [nn.Parameter(torch.ones(1))]
    with pytest.raises(InputError, match=r"eps is 0\.0; it must be above 0"):
        TRAM(params, torch.optim.SGD, eps=0.0, lr=0.1)
    with pytest.raises(InputError, match=r"max_radius is -1\.0; it must be above 0"):
        TRAM(params, torch.optim.SGD, max_radius=-1.0, lr=0.1)
    with pytest.raises(InputError, match="needs a divergence"):
        TRAM(params, torch.optim.SGD, lr=0.1).step(lambda: torch.zeros(()))


def test_its_eps_is_not_the_base_optimizers():
    optimizer = TRAM([nn.Parameter(torch.ones(1))], torch.optim.Adam, eps=1e-3, lr=0.1)
    assert optimizer.param_groups[0]["eps"] == 1e-8
    own = TRAM([{"params": [nn.Parameter(torch.ones(1))], "eps": 1e-6}], torch.optim.Adam, lr=0.1)
    assert own.base_optimizer.param_groups[0]["eps"] == 1e-6


@pytest.mark.parametrize("dropout, normalise", [(0.0, False), (0.3, False), (0.3, True)])
def test_a_plain_script_equals_the_seven_steps_written_out(dropout, normalise):
    """Algorithm 1 with the previous step as reference, by the two interfaces and by hand."""
    g = torch.Generator().manual_seed(1)
    data = [(torch.randn(16, 3, generator=g).double(), torch.randint(2, (16,), generator=g)) for _ in range(6)]
    cross_entropy = nn.functional.cross_entropy
    ascents = []

    def scripted():
        model = network(dropout=dropout, normalise=normalise)
        optimizer = TRAM(model.parameters(), torch.optim.AdamW, lr=0.05, weight_decay=0.1)
        reference = PreviousStepReference().init(model)
        reference.follow(optimizer, model)
        for x, y in data:
            kept = []

            def closure(x=x, y=y, kept=kept):
                optimizer.zero_grad()
                with disable_running_stats(model) if optimizer.perturbed else nullcontext():
                    kept.append(model(x))
                loss = cross_entropy(kept[-1], y)
                loss.backward()
                return loss

            optimizer.step(closure, divergence=lambda x=x, k=kept: divergence(reference.logits(model, {"x": x}), k[0]))
            ascents.append(float(optimizer.radius))
        return model

    def by_hand():
        import copy

        model = network(dropout=dropout, normalise=normalise)
        adamw = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
        previous = copy.deepcopy(model).eval()
        for x, y in data:
            logits = model(x)
            grads = torch.autograd.grad(cross_entropy(logits, y), list(model.parameters()))
            with torch.no_grad():
                p, q = previous(x).softmax(1), logits.softmax(1)
                d = (p * (p / q).log()).sum(1).mean()
                previous = copy.deepcopy(model).eval()
                theta = [p.clone() for p in model.parameters()]
                norm = sum((t * g).square().sum() for t, g in zip(theta, grads)) ** 0.5
                buffers = [b.clone() for b in model.buffers()]
                for p, t, g in zip(model.parameters(), theta, grads):
                    p.add_(d * t**2 * g / norm)
            adamw.zero_grad()
            cross_entropy(model(x), y).backward()
            with torch.no_grad():
                for b, kept in zip(model.buffers(), buffers):
                    b.copy_(kept)
                for p, t in zip(model.parameters(), theta):
                    p.copy_(t)
            adamw.step()
        return model

    with torch.random.fork_rng():
        torch.manual_seed(5)
        a = scripted()
        torch.manual_seed(5)
        b = by_hand()
    for p, q in zip(a.state_dict().values(), b.state_dict().values()):
        assert torch.allclose(p.double(), q.double(), atol=1e-9)
    assert (ascents[0] < 1e-12) == (dropout == 0.0 and not normalise)
    assert min(ascents[1:]) > 1e-5


@pytest.mark.parametrize("shape", [(3, 5), (700, 800), (PIECE + 1,), (4, PIECE // 2, 1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_large_parameters_are_moved_as_small_ones_are(shape, transposed):
    g = torch.Generator().manual_seed(0)
    theta, gradient = (torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(2))
    if transposed:
        theta, gradient = theta.transpose(0, -1), gradient.transpose(0, -1)
    small, small_gradient = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.5])
    params = [nn.Parameter(small.clone()), nn.Parameter(theta.clone(memory_format=torch.preserve_format))]
    params[0].grad, params[1].grad = small_gradient, gradient.clone(memory_format=torch.preserve_format)
    optimizer = TRAM(params, torch.optim.SGD, lr=0.0)
    optimizer.first_step(0.5)
    norm = ((theta * gradient).square().sum() + (small * small_gradient).square().sum().double()).sqrt()
    assert torch.allclose(params[1].data, theta + 0.5 * theta.square() * gradient / norm)
    assert torch.allclose(params[0].data.double(), (small + 0.5 * small.square() * small_gradient / norm).double())
    optimizer.second_step()
    assert torch.equal(params[1].data, theta) and torch.equal(params[0].data, small)
