"""Kernel functions and networks given the training data: the posterior, its errors, and resumable trainings."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.measure import GPHypotheses, NetworkErrors, gp_required_bias, median_distance, network_hypotheses
from farfield.measure.difficulty import hypotheses

ORACLE = Path(__file__).parents[1] / "data" / "inductive-bias.npz"


@pytest.fixture
def oracle():
    with np.load(ORACLE) as found:
        return dict(found)


def test_the_posterior_equals_exact_solves(oracle):
    space = GPHypotheses(oracle["X_train"], oracle["y_train"], jitter=0.0)
    mean, covariance = space.posterior(oracle["X_test"])
    assert isinstance(mean, np.ndarray)
    assert np.abs(mean - oracle["post_mean"]).max() < 1e-8
    assert np.abs(covariance - oracle["post_cov"]).max() < 1e-8
    expected, variance = space.error_moments(oracle["X_test"], oracle["y_test"])
    assert expected == pytest.approx(float(oracle["mse_mean_analytic"]), rel=1e-8)
    # The oracle's own draws are of this distribution.
    drawn = oracle["mse_samples"]
    assert abs(drawn.mean() - expected) < 3 * np.sqrt(variance / len(drawn))
    assert drawn.var() == pytest.approx(variance, rel=0.15)


def test_functions_go_through_the_training_points(oracle):
    space = GPHypotheses(oracle["X_train"], oracle["y_train"])
    mean, covariance = space.posterior(oracle["X_train"])
    assert mean == pytest.approx(oracle["y_train"], abs=1e-5)
    assert np.abs(covariance).max() < 1e-6 and space.residual < 1e-5


def test_far_from_the_data_the_prior_decides(oracle):
    space = GPHypotheses(oracle["X_train"], oracle["y_train"])
    far = 100 * np.eye(3)[[0, 1]]
    mean, covariance = space.posterior(far)
    assert np.abs(mean).max() < 1e-12 and covariance == pytest.approx(np.eye(2))


def test_drawn_errors_have_the_exact_moments_and_are_those_of_functions(oracle, monkeypatch):
    x, y = oracle["X_test"], oracle["y_test"]
    space = GPHypotheses(oracle["X_train"], oracle["y_train"])
    monkeypatch.setattr(hypotheses, "BLOCK", 10_000)  # many blocks
    errors = space.sample_errors(x, y, 4000, torch.Generator().manual_seed(0))
    mean, variance = space.error_moments(x, y)
    assert abs(errors.mean() - mean) < 3 * np.sqrt(variance / 4000)
    assert errors.var() == pytest.approx(variance, rel=0.12)
    # Against functions drawn at the test inputs themselves, by the covariance's Cholesky factor.
    posterior, covariance = space.posterior(x)
    root = np.linalg.cholesky(covariance + 1e-10 * np.eye(len(x)))
    z = np.random.default_rng(0).standard_normal((4000, *posterior.shape))
    direct = ((posterior + root @ z - y) ** 2).mean((1, 2))
    for p in (0.05, 0.5, 0.95):
        assert np.quantile(errors, p) == pytest.approx(np.quantile(direct, p), rel=0.05)
    again = space.sample_errors(x, y, 4000, torch.Generator().manual_seed(0))
    assert np.array_equal(errors, again)


def test_the_kernels_width_and_the_units_of_the_inputs_are_one(oracle):
    x, y = oracle["X_test"], oracle["y_test"]
    one = GPHypotheses(oracle["X_train"], oracle["y_train"], sigma=2.0).error_moments(x, y)
    other = GPHypotheses(10 * oracle["X_train"], oracle["y_train"], sigma=20.0).error_moments(10 * x, y)
    order = np.random.default_rng(0).permutation(12)
    permuted = GPHypotheses(oracle["X_train"][order], oracle["y_train"][order], sigma=2.0).error_moments(
        x[::-1], y[::-1]
    )
    assert other == pytest.approx(one, rel=1e-9) and permuted == pytest.approx(one, rel=1e-6)


def test_dense_data_in_one_dimension_leave_nothing_to_choose():
    x, at = torch.linspace(-2, 2, 60).double(), torch.linspace(-1.9, 1.9, 40).double()
    space = GPHypotheses(x, (2 * x).sin())
    mean, covariance = space.posterior(at)
    assert gp_required_bias(mean, covariance, (2 * at).sin(), 0.01) < 1e-6


def test_targets_of_one_output_and_images_are_taken():
    x, y = torch.randn(20, 1, 3, 3, generator=torch.Generator().manual_seed(0)), torch.linspace(0, 1, 20)
    space = GPHypotheses(x, y)
    assert space.posterior(x)[0].shape == (20, 1)
    assert median_distance(x) == pytest.approx(float(nn.functional.pdist(x.flatten(1).double()).median()))


def test_bad_data_are_refused():
    x = torch.tensor([[0.0], [0.0], [1.0]])
    with pytest.raises(InputError, match="equal or nearly so have different targets"):
        GPHypotheses(x, torch.tensor([0.0, 1.0, 0.0]))
    with pytest.raises(InputError, match="is singular; raise jitter"):
        GPHypotheses(torch.zeros(3, 1), torch.zeros(3), jitter=0.0)
    with pytest.raises(InputError, match="sigma is 0"):
        GPHypotheses(x, torch.zeros(3), sigma=0)
    with pytest.raises(InputError, match="x_train has 3 rows but y_train has 2"):
        GPHypotheses(x, torch.zeros(2))
    space = GPHypotheses(torch.eye(3), torch.eye(3))
    with pytest.raises(InputError, match="x_test has 2 numbers in a row but x_train has 3"):
        space.posterior(torch.zeros(4, 2))
    with pytest.raises(InputError, match="y_test has 1 outputs but y_train has 3"):
        space.error_moments(torch.zeros(4, 3), torch.zeros(4))
    with pytest.raises(InputError, match="draws is 0"):
        space.sample_errors(torch.eye(3), torch.eye(3), 0, torch.Generator())


X = torch.linspace(-1, 1, 30)[:, None]
LOADER = [{"x": X[:20], "y": X[:20] ** 2}, (X[20:], X[20:] ** 2)]


def build(seed):
    return nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))


def fit(network, seed):
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(40 if seed != 2 else 1):
        optimizer.zero_grad()
        loss = (network(X) - X**2).square().mean()
        loss.backward()
        optimizer.step()
    return loss


def test_networks_depend_on_their_seed_alone_and_the_error_is_the_mean_over_all_numbers():
    state = torch.random.get_rng_state()
    found = network_hypotheses(build, fit, 4, LOADER)
    assert torch.equal(state, torch.random.get_rng_state())
    assert isinstance(found, NetworkErrors) and len(found.errors) == 4 and len(set(found.errors.tolist())) == 4
    parts = [network_hypotheses(build, fit, 2, LOADER, first=first).errors for first in (2, 0)]
    assert torch.equal(torch.cat([parts[1], parts[0]]), found.errors)
    kept = []
    network_hypotheses(build, lambda network, seed: kept.append(network) or fit(network, seed), 1, LOADER)
    with torch.no_grad():
        assert float(found.errors[0]) == pytest.approx(float((kept[0](X) - X**2).square().mean()), rel=1e-5)


def test_networks_that_do_not_fit_are_left_out_and_counted():
    everything = network_hypotheses(build, fit, 4, LOADER)
    limit = float(everything.training_errors.sort().values[2])
    found = network_hypotheses(build, fit, 4, LOADER, largest_training_error=limit)
    assert found.discarded == 1 and len(found.errors) == 3 and len(found.test_errors) == 4
    assert everything.training_errors.argmax() == 2 and float(everything.test_errors[2]) not in found.errors.tolist()
    with pytest.raises(InputError, match="none of 4 networks reaches a training error of 0;"):
        network_hypotheses(build, fit, 4, LOADER, largest_training_error=0)


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    file, calls = tmp_path / "errors.jsonl", []

    def counted(network, seed):
        calls.append(seed)
        if seed == 2 and len(calls) == 3:
            raise KeyboardInterrupt
        return fit(network, seed)

    with pytest.raises(KeyboardInterrupt):
        network_hypotheses(build, counted, 4, LOADER, keep=file)
    with file.open("a") as opened:
        opened.write('{"seed": 2, "trai')  # cut off while it was written
    found = network_hypotheses(build, counted, 4, LOADER, keep=file)
    assert calls == [0, 1, 2, 2, 3]
    assert torch.equal(found.errors, network_hypotheses(build, fit, 4, LOADER).errors)
    assert torch.equal(network_hypotheses(build, counted, 4, LOADER, keep=file).errors, found.errors)
    assert calls == [0, 1, 2, 2, 3]
    file.write_text("something else\n")
    with pytest.raises(InputError, match="is no file of networks' errors"):
        network_hypotheses(build, fit, 1, LOADER, keep=file)


def test_bad_arguments_of_networks_are_refused():
    with pytest.raises(InputError, match="n is 0"):
        network_hypotheses(build, fit, 0, LOADER)
    with pytest.raises(InputError, match="read only once"):
        network_hypotheses(build, fit, 1, iter(LOADER))
    with pytest.raises(InputError, match="no batch"):
        network_hypotheses(build, fit, 1, [])
    with pytest.raises(InputError, match="give one-hot targets"):
        network_hypotheses(build, fit, 1, [(X, X[:, 0])])
