"""Gaussian random fields: moments, spectra, correlations, and the definition written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.augment import gaussian_random_field
from farfield.errors import InputError
from farfield.measure import field_spectrum


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def field(*shape, seed=0, **settings):
    return gaussian_random_field(shape, generator=generator(seed), **settings)


KERNELS = [("power", None), ("rbf", 0.15), ("band", 0.3), ("grid", 0.25)]
kernels = pytest.mark.parametrize(("kernel", "length"), KERNELS)
sides = pytest.mark.parametrize("sides", [(16, 16), (9, 14), (1, 20)])


@kernels
@sides
@pytest.mark.parametrize("periodic", [True, False])
def test_by_sample_every_field_has_mean_0_and_deviation_1(kernel, length, sides, periodic):
    f = field(50, 2, *sides, kernel=kernel, length=length, periodic=periodic)
    assert f.shape == (50, 2, *sides) and f.dtype == torch.float32
    assert f.mean((2, 3)).abs().max() < 1e-6
    assert (f.std((2, 3), correction=0) - 1).abs().max() < 1e-5


@kernels
@sides
@pytest.mark.parametrize("periodic", [True, False])
def test_expected_variances_are_1_on_average_and_fluctuate(kernel, length, sides, periodic):
    f = field(4000, 1, *sides, normalise="expected", kernel=kernel, length=length, periodic=periodic)
    variances = f.double().var((1, 2, 3), correction=0)
    assert abs(variances.mean() - 1) < 4 * variances.std() / math.sqrt(4000)
    assert f.mean((2, 3)).abs().max() < 1e-5
    assert variances.std() > 0.05


def test_the_expected_variance_of_a_thousand_fields_is_1_to_2_percent():
    f = field(1000, 4, 32, 32, gamma=2.0, normalise="expected")
    assert abs(float(f.var((2, 3), correction=0).mean()) - 1) < 0.02


@pytest.mark.parametrize("shape", [(8, 8), (7, 6), (5, 9)])
def test_covariances_are_those_of_filtered_white_noise(shape):
    # The definition: real white noise, transformed, times |k|^(-gamma / 2), and back.
    n, gamma, (height, width) = 30_000, 2.0, shape
    noise = torch.fft.rfft2(torch.randn(n, height, width, generator=generator(1)))
    ky, kx = torch.fft.fftfreq(height, 1 / height), torch.fft.rfftfreq(width, 1 / width)
    k = (ky[:, None] ** 2 + kx**2).sqrt()
    amplitude = torch.where(k > 0, k, 1.0) ** (-gamma / 2) * (k > 0)
    slow = torch.fft.irfft2(noise * amplitude, s=shape)
    ky, kx = torch.fft.fftfreq(height, 1 / height), torch.fft.fftfreq(width, 1 / width)
    power = (ky[:, None] ** 2 + kx**2).clamp_min(1e-9) ** (-gamma / 2)
    power[0, 0] = 0
    slow = slow * math.sqrt(height * width / float(power.sum()))  # the sheet's constant: sqrt(HW / sum A^2)
    ours = gaussian_random_field((n, 1, *shape), gamma, "expected", generator=generator(2))[:, 0]

    def covariance(f):
        return f.flatten(1).T @ f.flatten(1) / n

    exact = torch.fft.ifft2(power / power.sum(), norm="forward").real
    at = [(i, j) for i in range(height) for j in range(width)]
    table = torch.stack([torch.stack([exact[(a - c) % height, (b - d) % width] for c, d in at]) for a, b in at])
    assert (covariance(ours) - table).abs().max() < 0.045  # 5 standard errors of the largest
    assert (covariance(slow) - table).abs().max() < 0.045


@pytest.mark.parametrize("gamma", [2.0, 3.0, 4.0])
def test_the_periodograms_slope_is_minus_gamma(gamma):
    assert abs(field_spectrum(field(200, 1, 64, 64, gamma=gamma)).slope(2, 16) + gamma) < 0.2


def test_neighbours_are_independent_at_gamma_0_and_more_alike_the_larger_it_is():
    def neighbours(gamma):
        f = field(200, 1, 32, 32, gamma=gamma)
        return float((f[..., 1:] * f[..., :-1]).mean())

    found = [neighbours(gamma) for gamma in (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)]
    assert abs(found[0]) < 0.01
    assert found == sorted(found) and found[-1] > 0.9


@pytest.mark.parametrize("gamma", [40.0, 400.0])
def test_of_a_steep_spectrum_only_waves_of_one_cycle_are_left(gamma):
    power = torch.fft.fft2(field(3, 1, 16, 16, gamma=gamma)).abs().square()
    first = power[..., 0, 1] + power[..., 1, 0] + power[..., 0, -1] + power[..., -1, 0]
    assert (first / power.sum((2, 3)) > 1 - 1e-5).all()


def test_the_kernel_rbf_has_the_correlation_that_it_says():
    f = field(3000, 1, 1, 64, kernel="rbf", length=0.05, normalise="expected")[:, 0, 0]
    for distance in (2, 4):
        found = (f * f.roll(distance, 1)).mean()
        # Less what the removed mean takes: the mean correlation over the torus, length * sqrt(2 pi).
        mean = 0.05 * math.sqrt(2 * math.pi)
        wanted = (math.exp(-((distance / 64) ** 2) / (2 * 0.05**2)) - mean) / (1 - mean)
        assert abs(found - wanted) < 0.03


def test_the_kernel_band_has_equal_power_up_to_its_edge_and_none_beyond():
    found = field_spectrum(field(300, 1, 32, 32, kernel="band", length=1 / 6))
    assert (found.power[:5] / found.power[0] - 1).abs().max() < 0.15
    assert found.power[7:].max() < 1e-9


def test_the_kernel_grid_goes_through_its_points_smoothly():
    coarse = field(100, 1, 32, 32, kernel="grid", length=0.25)
    fine = field(100, 1, 32, 32, kernel="grid", length=0.0625)
    steps = [float((f[..., 1:] - f[..., :-1]).square().mean()) for f in (coarse, fine)]
    assert steps[0] < 0.1 < 3 * steps[0] < steps[1]
    # A point for each pixel is white noise.
    white = field(2000, 1, 8, 8, kernel="grid", length=1 / 8)
    assert abs(float((white[..., 1:] * white[..., :-1]).mean())) < 0.03


def test_opposite_borders_are_neighbours_only_on_the_torus():
    def across(periodic):
        f = field(2000, 1, 16, 16, gamma=4.0, periodic=periodic)
        return float((f[..., 0] * f[..., -1]).mean())

    assert across(True) > 0.6
    assert across(False) < 0


def test_fields_are_independent_of_each_other():
    f = field(3000, 2, 8, 8, normalise="expected")[:, :, 3, 5]
    assert abs(float(torch.corrcoef(f.T)[0, 1])) < 4 / math.sqrt(3000)
    assert abs(float(torch.corrcoef(torch.stack([f[:-1, 0], f[1:, 0]]))[0, 1])) < 4 / math.sqrt(3000)


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 9), st.integers(2, 9)),
    st.floats(0, 60),
    st.sampled_from(KERNELS),
    st.booleans(),
)
def test_every_shape_has_finite_unit_fields(shape, gamma, kernel, periodic):
    f = field(*shape, gamma=gamma, kernel=kernel[0], length=kernel[1], periodic=periodic)
    assert f.shape == shape
    assert (f.square().mean((2, 3)) - 1).abs().max() < 1e-3


def test_the_generator_decides_and_the_global_state_is_left_alone():
    state = torch.get_rng_state()
    assert torch.equal(field(1, 1, 4, 4, seed=1), field(1, 1, 4, 4, seed=1))
    assert not torch.equal(field(1, 1, 4, 4, seed=1), field(1, 1, 4, 4, seed=2))
    assert torch.equal(gaussian_random_field((1, 1, 4, 4)), field(1, 1, 4, 4, seed=0))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (1, 4, 4)}, r"shape is \(1, 4, 4\); expected \(n, channels, height, width\)"),
        ({"shape": (1, 1, 1, 1)}, "at least two pixels"),
        ({"gamma": -1.0}, "gamma is -1.0; it must be at least 0"),
        ({"gamma": math.nan}, "gamma is nan"),
        ({"normalise": "samples"}, "unknown normalise 'samples'; nearest: sample"),
        ({"kernel": "rbg"}, "unknown kernel 'rbg'; nearest: rbf"),
        ({"kernel": "rbf"}, "the kernel rbf needs a length"),
        ({"kernel": "grid", "length": 1.5}, "length is 1.5"),
        ({"length": 0.5}, "the kernel power takes none"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        gaussian_random_field(**{"shape": (1, 1, 4, 4), **arguments})
