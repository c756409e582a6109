import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.errors import InputError
from farfield.reuse import output_ensemble, wise_ft


def linear(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(3, 2)


X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


@given(st.floats(0, 1))
def test_outputs_of_a_linear_model_are_interpolated_linearly(alpha):
    a, b, c = linear(0), linear(1), linear(2)
    c.load_state_dict(wise_ft(a.state_dict(), b.state_dict(), alpha))
    assert torch.allclose(c(X), (1 - alpha) * a(X) + alpha * b(X), atol=1e-5)


def test_the_ends_are_the_two_models_exactly():
    a, b = linear(0).state_dict(), linear(1).state_dict()
    for alpha, end in ((0, a), (1, b)):
        found = wise_ft(a, b, alpha)
        assert all(torch.equal(found[name], end[name]) for name in a)
        assert all(found[name].data_ptr() not in (a[name].data_ptr(), b[name].data_ptr()) for name in a)


def test_running_statistics_are_interpolated_and_counters_taken_from_the_end():
    a, b = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    for _ in range(3):
        b(torch.randn(8, 2) + 4)
    found = wise_ft(a.state_dict(), b.state_dict(), 0.5)
    assert torch.allclose(found["running_mean"], b.running_mean / 2) and found["num_batches_tracked"] == 3


def test_weights_that_do_not_belong_together_are_refused():
    a = linear(0).state_dict()
    with pytest.raises(InputError, match=r"alpha is 1\.5"):
        wise_ft(a, a, 1.5)
    with pytest.raises(InputError, match="differ in 'bias'"):
        wise_ft(a, {"weight": a["weight"]})
    with pytest.raises(InputError, match=r"'bias' has shape \(2,\) in theta_0 and \(3,\)"):
        wise_ft(a, {**a, "bias": torch.zeros(3)})


def test_an_ensemble_averages_probabilities_or_outputs():
    models = [linear(i) for i in range(3)]
    probabilities = torch.stack([m(X).softmax(1) for m in models]).mean(0)
    assert torch.allclose(output_ensemble(models)(X).exp(), probabilities, atol=1e-6)
    outputs = torch.stack([m(X) for m in models]).mean(0)
    assert torch.allclose(output_ensemble(models, average="outputs")(X), outputs, atol=1e-6)
    with pytest.raises(InputError, match="models is empty"):
        output_ensemble([])
    with pytest.raises(InputError, match="average is 'votes'"):
        output_ensemble(models, average="votes")
