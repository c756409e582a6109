import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.losses import R3FLoss


def linear():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Linear(3, 4).double()
    return model, {"x": torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)}


def symmetric(a, b):
    p, q = a.softmax(1), b.softmax(1)
    return ((p - q) * (p / q).log()).sum(1).mean()


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_it_is_the_symmetric_kl_to_the_noised_input_with_gradients_through_both(kind):
    model, batch = linear()
    g = torch.Generator().manual_seed(7)
    z = torch.empty(6, 3, dtype=torch.float64)
    z = z.normal_(0, 0.3, generator=g) if kind == "normal" else z.uniform_(-0.3, 0.3, generator=g)
    loss = R3FLoss(weight=2.0, sigma=0.3, kind=kind, seed=7)(model, batch, model(batch["x"]))
    loss.backward()
    twin, _ = linear()
    expected = 2 * symmetric(twin(batch["x"]), twin(batch["x"] + z))
    expected.backward()
    assert torch.allclose(loss, expected)
    assert torch.allclose(model.weight.grad, twin.weight.grad)


def test_the_noise_is_new_at_each_call_and_the_same_for_the_same_seed():
    model, batch = linear()
    first, second = R3FLoss(seed=1), R3FLoss(seed=1)
    logits = model(batch["x"])
    a, b = first(model, batch, logits), first(model, batch, logits)
    assert a != b
    assert a == second(model, batch, logits) and b == second(model, batch, logits)


def test_for_small_noise_it_grows_with_the_square_of_sigma():
    model, batch = linear()
    logits = model(batch["x"])
    small, large = (R3FLoss(sigma=s, seed=1)(model, batch, logits) for s in (1e-4, 1e-3))
    assert (large / small).item() == pytest.approx(100, rel=0.01)


def test_batch_statistics_and_random_state_are_those_of_one_pass():
    model, x = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2)), torch.randn(8, 3)
    logits = model(x)
    state, mean = torch.get_rng_state(), model[0].running_mean.clone()
    R3FLoss()(model, {"x": x}, logits)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model[0].running_mean, mean) and model[0].num_batches_tracked == 1


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match=r"weight is -1\.0"):
        R3FLoss(weight=-1.0)
    with pytest.raises(InputError, match=r"sigma is -1\.0"):
        R3FLoss(sigma=-1.0)
    with pytest.raises(InputError, match="unknown kind of noise 'gauss'"):
        R3FLoss(kind="gauss")
