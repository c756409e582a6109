import math
import sys

import numpy as np
import pytest
import torch

from farfield.augment import gaussian_random_field
from farfield.errors import InputError
from farfield.measure import FieldSpectrum, field_correlation_length, field_spectrum


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def wave(height, width, ky, kx):
    y, x = torch.arange(height)[:, None] / height, torch.arange(width) / width
    return torch.cos(2 * math.pi * (ky * y + kx * x)).double()


def test_a_plane_wave_has_all_its_variance_in_its_ring():
    found = field_spectrum(wave(16, 20, 3, 4))
    ring = int(found.power.argmax())
    assert ring == 4 and found.k[ring] == pytest.approx(5, abs=0.3)  # |k| = 5
    assert float(found.power[ring] * found.waves[ring]) == pytest.approx(0.5)
    assert float((found.power * found.waves).sum()) == pytest.approx(0.5)


def test_it_equals_a_slow_loop_over_waves():
    f = torch.randn(3, 6, 8, generator=generator(), dtype=torch.float64)
    sums, ks = {}, {}
    for ky in range(-3, 3):
        for kx in range(-4, 4):
            y, x = torch.meshgrid(torch.arange(6) / 6, torch.arange(8) / 8, indexing="ij")
            phase = 2 * math.pi * (ky * y + kx * x)
            power = sum((g * torch.cos(phase)).mean() ** 2 + (g * torch.sin(phase)).mean() ** 2 for g in f) / 3
            ring = math.floor(math.hypot(ky, kx) + 0.5)
            if 1 <= ring <= 4:
                sums.setdefault(ring, []).append(float(power))
                ks.setdefault(ring, []).append(math.hypot(ky, kx))
    found = field_spectrum(f)
    assert found.power.tolist() == pytest.approx([np.mean(sums[r]) for r in sorted(sums)])
    assert found.k.tolist() == pytest.approx([np.mean(ks[r]) for r in sorted(ks)])
    assert found.waves.tolist() == [len(sums[r]) for r in sorted(sums)]


def test_the_slope_of_a_power_law_is_its_exponent_in_one_dimension_too():
    for shape in ((100, 1, 64, 64), (2000, 1, 1, 256)):
        f = gaussian_random_field(shape, 2.5, generator=generator())
        assert field_spectrum(f).slope(2, 16) == pytest.approx(-2.5, abs=0.1)
    k = torch.tensor([1.0, 2.0, 4.0, 8.0])
    law = FieldSpectrum(k, torch.tensor([9.0, 0.25, 0.0625, 1.0]), torch.ones(4))
    assert law.slope(2, 4) == pytest.approx(-2)
    with pytest.raises(InputError, match="1 rings with power lie from k = 8 to 9; a slope needs two"):
        law.slope(8, 9)


def test_constant_fields_have_no_power_and_no_correlation_length():
    assert field_spectrum(torch.ones(2, 4, 4)).power.abs().max() == 0
    with pytest.raises(InputError, match="f holds constant fields alone"):
        field_correlation_length(torch.ones(2, 4, 4) * 0.1)


def test_correlation_lengths_of_known_fields():
    # exp(-r^2 / (2 l^2)) is 1/e at sqrt(2) l.
    f = gaussian_random_field(
        (500, 1, 128, 128), kernel="rbf", length=0.03, normalise="expected", generator=generator()
    )
    assert field_correlation_length(f) == pytest.approx(math.sqrt(2) * 0.03 * 128, rel=0.06)
    # In one dimension white noise falls from 1 to 0 within a pixel: 1 - 1/e.
    white = torch.randn(3000, 1, 64, generator=generator())
    assert field_correlation_length(white) == pytest.approx(1 - math.exp(-1), abs=0.02)


def test_smoother_fields_reach_further_whatever_their_scale_and_mean():
    fields = [gaussian_random_field((20, 1, 32, 32), gamma, generator=generator()) for gamma in (0.0, 2.0, 4.0)]
    lengths = [field_correlation_length(f) for f in fields]
    assert lengths == sorted(lengths) and lengths[0] < 1 < lengths[1]
    assert field_correlation_length(5 * fields[1] + 3) == pytest.approx(lengths[1], rel=1e-5)


def test_numpy_in_numpy_out():
    f = np.random.default_rng(0).normal(size=(2, 8, 8))
    found = field_spectrum(f)
    assert isinstance(found.k, np.ndarray) and isinstance(found.power, np.ndarray)
    assert np.allclose(found.power, field_spectrum(torch.from_numpy(f)).power)
    assert field_correlation_length(f) == field_correlation_length(torch.from_numpy(f))


def test_parts_of_a_long_stack_add_up(monkeypatch):
    f = torch.randn(7, 8, 8, generator=generator())
    whole = field_spectrum(f), field_correlation_length(f)
    monkeypatch.setattr(sys.modules[field_spectrum.__module__], "CHUNK", 130)
    assert torch.allclose(field_spectrum(f).power, whole[0].power)
    assert field_correlation_length(f) == pytest.approx(whole[1])


@pytest.mark.parametrize("measure", [field_spectrum, field_correlation_length])
@pytest.mark.parametrize("f", [torch.ones(4), torch.ones(3, 1, 1), torch.tensor([[1.0, math.nan]])])
def test_other_shapes_and_values_are_refused(measure, f):
    with pytest.raises(InputError, match="f h"):
        measure(f)
