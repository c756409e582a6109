import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.tasks import ShapeColour
from farfield.tasks.shape_colour import COLOURS, SHAPES, TEXTURES

PLAIN = ShapeColour(640, noise=0, seed=0)


def test_all_combinations_come_up_equally_often():
    counts = np.unique(PLAIN.y.numpy() @ np.array([1, 4, 16]), return_counts=True)[1]
    assert counts.tolist() == [10] * 64
    assert ShapeColour(100, seed=0).y.max(0).values.tolist() == [3, 3, 3]
    assert PLAIN.classes == (len(COLOURS), len(SHAPES), len(TEXTURES))


def test_the_brightest_ink_has_the_colour_of_its_label():
    ink = (PLAIN.x - 0.5).abs().sum(1).flatten(1) > 1e-6
    for image, mask, y in zip(PLAIN.x.flatten(2), ink, PLAIN.y):
        pixels = image[:, mask].T
        brightest = pixels[pixels.sum(1).argmax()]
        assert torch.allclose(brightest, COLOURS[y[0]])
        # Two shades at most, one where the texture is plain.
        assert len(torch.unique(pixels, dim=0)) == (1 if y[2] == 0 else 2)


def test_textures_vary_along_the_axis_that_they_are_named_after():
    """Stripes are seen in the largest squares, which hold several of them."""
    seen = set()
    for image, y in zip(PLAIN.x, PLAIN.y):
        ink = (image - 0.5).abs().sum(0) > 1e-6
        if y[1] == 1 and ink.sum() >= 100:
            rows, columns = torch.nonzero(ink.any(1)).flatten(), torch.nonzero(ink.any(0)).flatten()
            square = image.sum(0)[rows][:, columns]
            down, across = bool((square.diff(dim=0).abs() > 1e-6).any()), bool((square.diff(dim=1).abs() > 1e-6).any())
            assert (down, across) == [(False, False), (True, False), (False, True), (True, True)][int(y[2])]
            seen.add(int(y[2]))
    assert seen == {0, 1, 2, 3}


def test_shapes_fill_their_share_of_the_box_around_them():
    fill = {s: [] for s in range(4)}
    for image, y in zip(PLAIN.x, PLAIN.y):
        ink = (image - 0.5).abs().sum(0) > 1e-6
        box = int(ink.any(1).sum()) * int(ink.any(0).sum())
        fill[int(y[1])].append(float(ink.sum()) / box)
        # Never cut off at the border: all but the triangle are as wide as high, to a pixel.
        assert y[1] == 2 or abs(int(ink.any(1).sum()) - int(ink.any(0).sum())) <= 1
    means = {s: float(np.mean(v)) for s, v in fill.items()}
    assert means[1] == 1
    # Area over box: a disc pi / 4, a triangle a half, a cross of arms 0.32 / 0.95 about 0.56; pixels are coarse.
    assert means[0] == pytest.approx(np.pi / 4, abs=0.07)
    assert means[2] == pytest.approx(0.5, abs=0.08)
    assert means[3] == pytest.approx(1 - (1 - 0.32 / 0.95) ** 2, abs=0.08)


def test_noise_range_size_and_seed():
    noisy = ShapeColour(64, 32, noise=0.1, seed=3)
    assert noisy.x.shape == (64, 3, 32, 32) and noisy.x.min() >= 0 and noisy.x.max() <= 1
    corner = noisy.x[:, :, 0, 0]
    assert corner.std().item() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(noisy.x, ShapeColour(64, 32, noise=0.1, seed=3).x)
    assert not torch.equal(noisy.y, ShapeColour(64, 32, noise=0.1, seed=4).y)


@pytest.mark.parametrize(
    "arguments", [{"n": 0}, {"n": 4, "size": 11}, {"n": 4, "noise": -1}, {"n": 4, "noise": np.nan}]
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(InputError, match="expected n >= 1, size >= 12 and noise >= 0"):
        ShapeColour(**arguments)
