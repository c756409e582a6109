import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from farfield.errors import InputError
from farfield.nn.preprocess import Preprocess

FILTER = {"bilinear": Pillow.Resampling.BILINEAR, "bicubic": Pillow.Resampling.BICUBIC}


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 5), (30, 44)])
def test_resizing_equals_pillow_to_a_grey_level(interpolation, size):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 12), dtype="uint8")
    theirs = np.asarray(Pillow.fromarray(pixels).resize(size[::-1], FILTER[interpolation]))
    layer = Preprocess([0.0], [1.0], resize=size, interpolation=interpolation)
    ours = layer(torch.from_numpy(pixels)[None, None] / 255) * 255
    assert np.abs(ours[0, 0].numpy() - theirs).max() <= 1.01


def test_nearest_equals_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype="uint8")
    theirs = np.asarray(Pillow.fromarray(pixels).resize((5, 5), Pillow.Resampling.NEAREST))
    ours = Preprocess([0.0], [1.0], resize=(5, 5), interpolation="nearest")(torch.from_numpy(pixels)[None, None] / 255)
    np.testing.assert_allclose(ours[0, 0] * 255, theirs, atol=1e-3)


def test_normalising_is_exact_and_grey_becomes_colour():
    layer = Preprocess([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
    out = layer(torch.full((2, 1, 3, 3), 0.5))
    assert out.shape == (2, 3, 3, 3)
    torch.testing.assert_close(out[0, :, 0, 0], torch.tensor([0.4, 0.15, 0.05]))
    assert out.equal(layer(torch.full((2, 3, 3, 3), 0.5)))


@settings(deadline=None, max_examples=30)
@given(height=st.integers(3, 20), width=st.integers(3, 20), short=st.integers(2, 20))
def test_the_shorter_side_gets_its_length_and_the_ratio_stays(height, width, short):
    rows, columns = Preprocess([0.0], [1.0], resize=short)(torch.rand(1, 1, height, width)).shape[2:]
    assert min(rows, columns) == short
    assert abs(max(rows, columns) - short * max(height, width) / min(height, width)) < 1


def test_crops_are_of_the_centre_and_pad_what_is_missing():
    x = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert Preprocess([0.0], [1.0], crop=(3, 1))(x).flatten().tolist() == [7, 12, 17]
    padded = Preprocess([0.0], [1.0], crop=(6, 7))(x)
    assert padded.shape == (1, 1, 6, 7)
    assert padded[0, 0, :5, 1:6].equal(x[0, 0]) and padded.sum() == x.sum()


def test_an_unknown_interpolation_is_refused():
    with pytest.raises(InputError, match="interpolation is 'lanczos'"):
        Preprocess([0.0], [1.0], interpolation="lanczos")
