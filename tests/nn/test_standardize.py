import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.nn.standardize import Standardize
from farfield.tasks.task import Table


@settings(deadline=None, max_examples=20)
@given(n=st.integers(1, 9), channels=st.integers(1, 3), batch_size=st.integers(1, 10), seed=st.integers(0, 99))
def test_fit_equals_numpy_over_all_pixels(n, channels, batch_size, seed):
    x = np.random.default_rng(seed).normal(3, 2, (n, channels, 4, 5)).astype("float32")
    layer = Standardize.fit(Table(x=x), batch_size=batch_size)
    np.testing.assert_allclose(layer.mean, x.mean((0, 2, 3), dtype="float64"), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.std, x.std((0, 2, 3), dtype="float64"), rtol=1e-5)


def test_output_on_the_data_it_was_fitted_on_has_mean_0_and_std_1():
    x = torch.rand(20, 3, 8, 8) * torch.tensor([1.0, 5.0, 0.01])[:, None, None] + 7
    out = Standardize.fit(Table(x=x))(x)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(out.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-3, rtol=0)


def test_uint8_images_are_fitted_on_the_scale_of_a_batch():
    x = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
    layer = Standardize.fit(Table(x=x))
    assert (float(layer.mean), float(layer.std)) == (0.5, 0.5)


def test_a_constant_channel_is_centred_and_stays_finite():
    x = torch.full((5, 1, 3, 3), 0.3)
    layer = Standardize.fit(Table(x=x))
    assert float(layer.std) == 1.0
    torch.testing.assert_close(layer(x), torch.zeros_like(x))


def test_statistics_are_saved_and_never_trained():
    layer = Standardize(torch.tensor([0.5]), torch.tensor([2.0]))
    assert set(layer.state_dict()) == {"mean", "std"}
    assert list(layer.parameters()) == []
