import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from farfield.errors import InputError, NonFiniteLoss
from farfield.optim import SAM
from farfield.tasks import Table
from farfield.train import evaluating, predict, to_device, train

X = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
DATA = Table(x=X, y=2 * X + 1)


def line():
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model


def squared(model, batch):
    return mse_loss(model(batch["x"]), batch["y"])


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def test_two_steps_by_hand():
    # w = b = 0, y = (1, 3, 5, 7): d/db = -2 * 4 = -8, d/dw = -2 * mean(0, 3, 10, 21) = -17; lr 0.1.
    model = line()
    history = train(model, DATA, squared, sgd(model), steps=1, batch_size=4)
    assert math.isclose(model.weight.item(), 1.7, rel_tol=1e-6) and math.isclose(model.bias.item(), 0.8, rel_tol=1e-6)
    assert math.isclose(history.loss[0], 21.0)
    # Residuals y - 1.7 x - 0.8 = (0.2, 0.5, 0.8, 1.1): d/db = -1.3, d/dw = -2 * mean(0, 0.5, 1.6, 3.3) = -2.7.
    history = train(model, DATA, squared, sgd(model), steps=1, batch_size=4)
    assert math.isclose(model.weight.item(), 1.97, rel_tol=1e-5) and math.isclose(model.bias.item(), 0.93, rel_tol=1e-5)
    assert math.isclose(history.loss[0], (0.04 + 0.25 + 0.64 + 1.21) / 4, rel_tol=1e-5)


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(1, 6))
def test_it_takes_as_many_steps_as_asked_on_as_many_examples(steps, batch_size):
    sizes = []

    def loss(model, batch):
        sizes.append(len(batch["x"]))
        return squared(model, batch)

    model = line()
    history = train(model, DATA, loss, sgd(model, 0.01), steps=steps, batch_size=batch_size)
    assert len(history.loss) == steps
    assert sizes == [min(batch_size, 4)] * steps


def test_it_equals_a_loop_over_a_dataloader_that_draws_the_same_batches():
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 5, generator=g), torch.randint(3, (50,), generator=g)

    def network():
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))

    batches = [torch.randperm(50, generator=g)[:16] for _ in range(20)]
    a, b = network(), network()
    train(
        a,
        Table(x=x, y=y),
        lambda m, batch: cross_entropy(m(batch["x"]), batch["y"]),
        torch.optim.AdamW(a.parameters()),
        steps=20,
        batches=batches,
    )
    optimizer = torch.optim.AdamW(b.parameters())
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_sampler=batches)
    for inputs, labels in loader:
        optimizer.zero_grad()
        cross_entropy(b(inputs), labels).backward()
        optimizer.step()
    for p, q in zip(a.parameters(), b.parameters()):
        assert torch.equal(p, q)


def test_dropout_starts_from_the_seed_and_the_callers_random_state_is_left_alone():
    def losses(seed, ambient):
        with torch.random.fork_rng():
            torch.manual_seed(ambient)
            model = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1))
            nn.init.ones_(model[1].weight)
            nn.init.zeros_(model[1].bias)
            state = torch.get_rng_state()
            batches = [torch.arange(4)] * 5
            history = train(model, DATA, squared, sgd(model, 0.0), steps=5, batches=batches, seed=seed)
            assert torch.equal(torch.get_rng_state(), state)
        return history.loss

    assert losses(1, ambient=0) == losses(1, ambient=9)
    assert losses(1, ambient=0) != losses(2, ambient=0)


def test_hooks_see_each_step_after_its_update():
    seen = []
    model = line()
    history = train(
        model,
        DATA,
        squared,
        sgd(model),
        steps=3,
        batch_size=4,
        hooks=[lambda step, m, loss: seen.append((step, m.bias.item(), loss, m.training))],
    )
    assert [s for s, *_ in seen] == [1, 2, 3]
    assert math.isclose(seen[0][1], 0.8, rel_tol=1e-6)
    assert [loss for *_, loss, _ in seen] == history.loss
    assert all(training for *_, training in seen)


def test_hooks_may_be_any_iterable_and_run_in_order():
    order = []
    model = line()
    hooks = (lambda s, m, v, name=name: order.append(name) for name in "ab")
    train(model, DATA, squared, sgd(model), steps=2, hooks=hooks)
    assert order == list("abab")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_with_step_and_values(value):
    calls = []

    def loss(model, batch):
        calls.append(1)
        return squared(model, batch) * (value if len(calls) == 3 else 1.0)

    model = line()
    with pytest.raises(NonFiniteLoss, match=f"the loss is {value} at step 3; before it: 21, 0.535"):
        train(model, DATA, loss, sgd(model), steps=10, batch_size=4)
    assert len(calls) == 3


def test_an_optimizer_that_calls_the_closure_twice_is_an_ordinary_one():
    calls = []

    def loss(model, batch):
        calls.append(batch["x"])
        return squared(model, batch)

    model = line()
    history = train(model, DATA, loss, SAM(model.parameters(), torch.optim.SGD, lr=0.01), steps=4, batch_size=2)
    assert len(calls) == 8 and len(history.loss) == 4
    assert all(torch.equal(a, b) for a, b in zip(calls[::2], calls[1::2]))  # the same batch both times


def test_gradients_do_not_pile_up_from_step_to_step():
    model = line()
    seen = []
    hook = lambda s, m, v: seen.append(m.bias.grad.item())  # noqa: E731
    train(model, DATA, squared, sgd(model, 0.0), steps=3, batch_size=4, hooks=[hook])
    assert seen == [-8.0, -8.0, -8.0]


def test_the_model_is_put_in_training_mode():
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1)).eval()
    train(model, DATA, squared, sgd(model), steps=2, batch_size=4)
    assert model[0].num_batches_tracked == 2


def test_mixed_precision_is_set_outside():
    model, dtypes = line(), []

    def loss(model, batch):
        out = model(batch["x"])
        dtypes.append(out.dtype)
        return mse_loss(out.float(), batch["y"])

    with torch.autocast("cpu", dtype=torch.bfloat16):
        train(model, DATA, loss, sgd(model), steps=1)
    assert dtypes == [torch.bfloat16] and model.weight.dtype == torch.float32


def test_settings_out_of_range_are_refused_before_training():
    model = line()
    with pytest.raises(InputError, match="steps is 0; it must be at least 1"):
        train(model, DATA, squared, sgd(model), steps=0)
    with pytest.raises(InputError, match="batch_size is 0; it must be at least 1"):
        train(model, DATA, squared, sgd(model), steps=1, batch_size=0)
    with pytest.raises(InputError, match="batches ended after 2 of 3 steps"):
        train(model, DATA, squared, sgd(model), steps=3, batches=[torch.arange(2)] * 2)


@settings(max_examples=20)
@given(st.integers(1, 30), st.integers(1, 40))
def test_predictions_do_not_depend_on_the_size_of_the_batches(n, batch_size):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(n))
    model = nn.Linear(3, 2)
    assert torch.allclose(predict(model, Table(x=x), batch_size=batch_size), model(x), atol=1e-6)


def test_predictions_are_made_in_evaluation_mode_without_gradients():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(1), nn.Linear(1, 1))
    state = torch.get_rng_state()
    out = predict(model, DATA)
    assert not out.requires_grad
    assert torch.equal(out, model.eval()(X))
    assert model[1].num_batches_tracked == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_training_flags_are_put_back_each_by_itself_also_after_an_error():
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(1))
    model[1].eval()
    with pytest.raises(KeyError), evaluating(model):
        assert not any(m.training for m in model.modules())
        raise KeyError
    assert [m.training for m in model.modules()] == [True, True, False]


def test_to_device_leaves_what_is_no_tensor():
    batch = {"x": torch.zeros(2), "name": ["a", "b"]}
    assert to_device(batch, torch.device("cpu")) is batch
    moved = to_device(batch, torch.device("meta"))
    assert moved["x"].device.type == "meta" and moved["name"] == ["a", "b"]
