"""What every optimizer here must satisfy. A new optimizer is one more line in CASES."""

import copy

import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.optim import ASAM, SAM, TRAM, FisherSAM, TRAMFisher


def tram(params, base_optimizer, *, divergence, **settings):
    """TRAM as a loop uses it that calls ``step(closure)`` and nothing else."""
    optimizer = TRAM(params, base_optimizer, **settings)
    optimizer.divergence = divergence
    return optimizer


def first_step(optimizer):
    if not isinstance(optimizer, TRAM):
        return optimizer.first_step()
    given = optimizer.divergence
    return optimizer.first_step(given() if callable(given) else given)


# (optimizer, settings; settings under which it is its base optimizer)
CASES = {
    "sam": (SAM, {"rho": 0.3}, {"rho": 0.0}),
    "asam": (ASAM, {"rho": 0.3, "eta": 0.1}, {"rho": 0.0}),
    "fisher-sam": (FisherSAM, {"gamma": 0.3, "eta": 0.5}, {"gamma": 0.0}),
    "tram": (tram, {"divergence": 0.3}, {"divergence": 0.0}),
    "tram-plain": (
        tram,
        {"divergence": lambda: torch.tensor(0.3), "adaptive": False},
        {"divergence": torch.tensor(0.0)},
    ),
    "tram-fisher": (TRAMFisher, {"gamma": 0.3, "eta": 0.5}, {"gamma": 0.0}),
}
BASES = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "adamw": (torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.1}),
    "adamw-fused": (torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.1, "fused": True}),
}

each_case = pytest.mark.parametrize("case", CASES)
each_base = pytest.mark.parametrize("base", BASES)


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def closure_for(model, optimizer, seed=1):
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randn(7, 3, generator=g, dtype=torch.float64), torch.randint(2, (7,), generator=g)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    return closure


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))


def build(case, base, params, **more):
    optimizer, settings, _ = CASES[case]
    cls, base_settings = BASES[base]
    return optimizer(params, cls, **settings, **base_settings, **more)


@each_case
@each_base
def test_at_its_limit_it_is_the_base_optimizer_bitwise(case, base):
    optimizer, _, limit = CASES[case]
    cls, settings = BASES[base]
    a, b = network(), network()
    mine, plain = optimizer(a.parameters(), cls, **limit, **settings), cls(b.parameters(), **settings)
    for _ in range(5):
        assert torch.equal(mine.step(closure_for(a, mine)), plain.step(closure_for(b, plain)))
        assert same(a, b)


@each_case
def test_away_from_its_limit_it_is_not_the_base_optimizer(case):
    a, b = network(), network()
    mine, plain = build(case, "sgd", a.parameters()), torch.optim.SGD(b.parameters(), lr=0.1, momentum=0.9)
    mine.step(closure_for(a, mine))
    plain.step(closure_for(b, plain))
    assert not same(a, b)


@each_case
def test_step_returns_the_loss_before_it_and_calls_the_closure_twice(case):
    model = network()
    optimizer = build(case, "adamw", model.parameters())
    inner = closure_for(model, optimizer)
    values = []

    def closure():
        values.append((inner(), optimizer.perturbed))
        return values[-1][0]

    before = inner().item()
    assert optimizer.step(closure).item() == before
    assert [perturbed for _, perturbed in values] == [False, True]
    assert values[1][0] > values[0][0]  # uphill


@each_case
@each_base
def test_two_steps_by_hand_equal_one_step_with_a_closure(case, base):
    a, b = network(), network()
    whole, halves = build(case, base, a.parameters()), build(case, base, b.parameters())
    for _ in range(3):
        whole.step(closure_for(a, whole))
        closure = closure_for(b, halves)
        closure()
        first_step(halves)
        closure()
        halves.second_step()
        assert same(a, b)


@each_case
@each_base
def test_the_state_dict_goes_on_where_it_stopped(case, base):
    a = network()
    first = build(case, base, a.parameters())
    for _ in range(3):
        first.step(closure_for(a, first))
    b = copy.deepcopy(a)
    second = build(case, base, b.parameters())
    second.param_groups[0]["lr"] = 7.0
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.param_groups[0]["lr"] == first.param_groups[0]["lr"]
    for _ in range(3):
        first.step(closure_for(a, first))
        second.step(closure_for(b, second))
        assert same(a, b)


@each_case
def test_learning_rate_schedulers_reach_the_base_optimizer(case):
    model = network()
    optimizer = build(case, "adamw", model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.0)
    optimizer.step(closure_for(model, optimizer))
    scheduler.step()
    before = copy.deepcopy(model)
    optimizer.step(closure_for(model, optimizer))
    assert same(model, before)
    assert optimizer.base_optimizer.param_groups[0]["lr"] == 0

    # And after its state was loaded, which makes new groups.
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step(closure_for(model, optimizer))
    assert not same(model, before)


@each_case
def test_the_callers_groups_are_left_alone_and_own_settings_win(case):
    model = network()
    groups = [{"params": list(model[0].parameters()), "lr": 0.0}, {"params": list(model[2].parameters())}]
    seen = [set(g) for g in groups]
    optimizer = build(case, "sgd", groups)
    before = copy.deepcopy(model)
    optimizer.step(closure_for(model, optimizer))
    assert [set(g) for g in groups] == seen
    assert same(model[0], before[0])
    assert not same(model[2], before[2])


@each_case
def test_a_group_added_later_is_trained_too(case):
    model = network()
    optimizer = build(case, "sgd", model[0].parameters())
    optimizer.add_param_group({"params": list(model[2].parameters())})
    before = copy.deepcopy(model)
    optimizer.step(closure_for(model, optimizer))
    assert not same(model[2], before[2])


@each_case
def test_parameters_without_gradient_are_skipped(case):
    model, unused = network(), nn.Parameter(torch.ones(2, dtype=torch.float64))
    model[0].requires_grad_(False)
    a, frozen = copy.deepcopy(model), copy.deepcopy(model[0])
    optimizer = build(case, "adamw", [*model.parameters(), unused])
    alone = build(case, "adamw", a[2].parameters())
    optimizer.step(closure_for(model, optimizer))
    alone.step(closure_for(a, alone))
    assert same(model[0], frozen)
    assert unused.tolist() == [1.0, 1.0]
    assert same(model, a)


@each_case
def test_a_gradient_of_zero_moves_nothing(case):
    theta = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = build(case, "sgd", [theta])
    theta.grad = torch.zeros(2)
    first_step(optimizer)
    assert theta.tolist() == [1.0, -2.0]


@each_case
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_parameters_keep_their_dtype(case, dtype):
    theta = nn.Parameter(torch.tensor([1.0, -2.0], dtype=dtype))
    optimizer = build(case, "sgd", [theta])

    def closure():
        optimizer.zero_grad()
        loss = theta.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert theta.dtype == dtype
    assert theta.abs().sum() < 3


@each_case
def test_a_closure_that_fails_at_the_worst_point_leaves_the_parameters_where_they_were(case):
    model = network()
    optimizer = build(case, "sgd", model.parameters())
    before, inner = copy.deepcopy(model), closure_for(model, optimizer)

    def closure():
        if optimizer.perturbed:
            raise KeyboardInterrupt
        return inner()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert same(model, before)
    assert not optimizer.perturbed


@each_case
def test_steps_out_of_order_are_refused(case):
    theta = nn.Parameter(torch.ones(2))
    optimizer = build(case, "sgd", [theta])
    with pytest.raises(RuntimeError, match="without a first_step"):
        optimizer.second_step()
    theta.grad = torch.ones(2)
    first_step(optimizer)
    with pytest.raises(RuntimeError, match="twice"):
        first_step(optimizer)
    with pytest.raises(InputError, match="needs a closure"):
        optimizer.step()


@pytest.mark.parametrize(
    "optimizer, name",
    [(SAM, "rho"), (ASAM, "rho"), (ASAM, "eta"), (FisherSAM, "gamma"), (FisherSAM, "eta"), (TRAMFisher, "gamma")],
)
def test_a_negative_setting_is_refused_of_a_group_too(optimizer, name):
    with pytest.raises(InputError, match=rf"{name} is -0\.1; it must be at least 0"):
        optimizer([nn.Parameter(torch.ones(1))], torch.optim.SGD, lr=0.1, **{name: -0.1})
    with pytest.raises(InputError, match=rf"{name} is -0\.1; it must be at least 0"):
        optimizer([{"params": [nn.Parameter(torch.ones(1))], name: -0.1}], torch.optim.SGD, lr=0.1)


def scaled_closure(model, optimizer, scaler, *, blow_up=False):
    plain = closure_for(model, optimizer)

    def closure():
        loss = plain()
        # The gradient of scale * loss, without a second backward pass.
        for p in model.parameters():
            p.grad *= scaler.get_scale() * (float("inf") if blow_up else 1.0)
        return loss

    return closure


@each_case
def test_a_gradient_scaler_changes_nothing_but_the_scale(case):
    a, b = network(), network()
    plain, scaled = build(case, "adamw", a.parameters()), build(case, "adamw", b.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
    scaler.scale(torch.zeros(()))  # it makes its scale with the first loss
    for _ in range(4):
        plain.step(closure_for(a, plain))
        scaled.step(scaled_closure(b, scaled, scaler), scaler=scaler)
        scaler.update()
        assert same(a, b)
    assert scaler.get_scale() == 2.0**12


@each_case
def test_an_overflow_leaves_the_update_out_and_lowers_the_scale(case):
    model = network()
    optimizer = build(case, "adamw", model.parameters())
    before = copy.deepcopy(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaler.scale(torch.zeros(()))
    optimizer.step(scaled_closure(model, optimizer, scaler, blow_up=True), scaler=scaler)
    scaler.update()
    assert same(model, before)
    assert scaler.get_scale() == 2.0**9
    optimizer.step(scaled_closure(model, optimizer, scaler), scaler=scaler)
    assert not same(model, before)


@each_case
def test_the_gradients_that_the_caller_holds_are_not_written_to(case):
    theta = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = build(case, "sgd", [theta])
    held = theta.grad = torch.tensor([3.0, 4.0])
    first_step(optimizer)
    assert held.tolist() == [3.0, 4.0]
    assert theta.grad is None
