import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import intrinsic_dimension, label_sharpness
from farfield.tasks import latent_manifold


@given(st.integers(1, 5), st.floats(0.5, 3), st.floats(0, 0.9), st.integers(0, 50))
def test_labels_follow_the_wave_and_keep_their_margin(d, frequency, margin, seed):
    x, y, z = latent_manifold(50, d, frequency=frequency, margin=margin, out_dim=8, seed=seed)
    wave = np.sin(frequency * np.pi * z.double().sum(1).numpy() / np.sqrt(d))
    clear = np.abs(wave) > 1e-5
    np.testing.assert_array_equal(y.numpy()[clear], (wave > 0)[clear])
    assert (np.abs(wave) >= margin - 1e-5).all()
    assert x.shape == (50, 8) and z.shape == (50, d) and float(z.abs().max()) <= 1


def test_inputs_are_a_function_of_the_latent_points_that_all_samples_share():
    # Of one dimension: x at a latent point between two close ones lies between theirs.
    x, _, z = latent_manifold(2000, 1, out_dim=5, seed=0)
    other, _, at = latent_manifold(100, 1, out_dim=5, seed=1)
    order = z[:, 0].argsort()
    expected = np.stack([np.interp(at[:, 0], z[order, 0], x[order, j]) for j in range(5)], 1)
    np.testing.assert_allclose(other, expected, atol=2e-4)
    different, _, _ = latent_manifold(100, 1, out_dim=5, seed=1, manifold=1)
    assert (different - other).abs().max() > 0.05


@pytest.mark.parametrize("d", [2, 4])
def test_the_dimension_is_the_latent_one(d):
    x, _, _ = latent_manifold(1500, d)
    assert intrinsic_dimension(x, "twonn") == pytest.approx(d, rel=0.12)


def test_a_margin_makes_labels_less_sharp_at_the_same_dimension():
    found = []
    for margin in (0.0, 0.4):
        x, y, _ = latent_manifold(800, 4, margin=margin)
        found.append((label_sharpness(x, y), intrinsic_dimension(x)))
    (sharp, d_sharp), (blunt, d_blunt) = found
    assert blunt < 0.7 * sharp
    assert d_blunt == pytest.approx(d_sharp, rel=0.1)


def test_the_seed_decides_and_the_global_state_does_not():
    state = torch.get_rng_state()
    first, second, other = (latent_manifold(20, 2, seed=s)[0] for s in (3, 3, 4))
    assert torch.equal(first, second) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="n is 0"):
        latent_manifold(0, 2)
    with pytest.raises(InputError, match="width is 4; it must be above d, which is 4"):
        latent_manifold(10, 4, width=4)
    with pytest.raises(InputError, match="margin is 1"):
        latent_manifold(10, 2, margin=1)
    with pytest.raises(InputError, match="frequency is 0"):
        latent_manifold(10, 2, frequency=0)
