"""One view: each stage against what it says, switched on alone."""

import pytest
import torch

from farfield.augment import ContrastiveView, RandomFieldAffine
from farfield.errors import InputError

WHOLE = {"crop": (1.0, 1.0), "aspect": (1.0, 1.0)}


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_crop_of_everything_is_the_identity():
    x = images(3, 3, 9, 12)
    assert torch.allclose(ContrastiveView(**WHOLE)(x), x, atol=1e-5)


def test_a_certain_flip_mirrors():
    x = images(3, 1, 8, 9)
    assert torch.allclose(ContrastiveView(**WHOLE, flip=1.0)(x), x.flip(3), atol=1e-5)
    half = ContrastiveView(**WHOLE, flip=0.5)(x[:1].expand(2000, -1, -1, -1))
    mirrored = (half - x[:1].flip(3)).abs().amax((1, 2, 3)) < 1e-4
    assert abs(float(mirrored.float().mean()) - 0.5) < 0.05


def test_crops_keep_shares_of_the_area_within_the_image():
    # An image that tells where each of its pixels lies.
    n, side = 1000, 32
    at = (torch.arange(side) + 0.5) / side
    x = torch.stack([at.expand(side, side), at[:, None].expand(side, side)]).expand(n, -1, -1, -1)
    out = ContrastiveView(crop=(0.3, 0.6), aspect=(0.5, 2.0))(x)
    inside = out[:, :, 2:-2, 2:-2]  # pixels of the border are cut off at the image's last pixel centres
    width = (inside[:, 0, 0, -1] - inside[:, 0, 0, 0]) * side / (side - 5)
    height = (inside[:, 1, -1, 0] - inside[:, 1, 0, 0]) * side / (side - 5)
    area, aspect = width * height, width / height
    assert area.min() > 0.3 - 0.02 and area.max() < 0.6 + 0.02 and abs(float(area.mean()) - 0.45) < 0.02
    assert aspect.min() > 0.48 and aspect.max() < 2.1 and abs(float(aspect.log().mean())) < 0.05
    left = inside[:, 0, 0, 0]
    assert left.std() > 0.05


def test_grey_is_the_luma():
    x = images(2, 3, 6, 6)
    luma = 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]
    assert torch.allclose(ContrastiveView(**WHOLE, grayscale=1.0)(x), luma[:, None].expand(-1, 3, -1, -1), atol=1e-5)


def test_jitter_changes_an_image_as_a_whole_within_its_range():
    x = torch.full((500, 1, 4, 4), 0.3)
    out = ContrastiveView(crop=(1.0, 1.0), aspect=(1.0, 1.0), jitter=0.5, jitter_p=1.0)(x)
    assert out.std((1, 2, 3)).max() < 1e-5
    factors = out[:, 0, 0, 0] / 0.3
    assert factors.min() > 0.6 - 1e-4 and factors.max() < 1.4 + 1e-4 and abs(float(factors.mean()) - 1) < 0.05
    changed = ContrastiveView(**WHOLE, jitter=0.5, jitter_p=0.3)(x)[:, 0, 0, 0]
    assert abs(float(((changed - 0.3).abs() > 1e-5).float().mean()) - 0.3) < 0.08


def test_blur_smooths_and_keeps_the_mean():
    x = (images(4, 3, 224, 224) > 0.5).float()
    out = ContrastiveView(**WHOLE, blur=1.0)(x)
    assert (out.std((1, 2, 3)) < 0.9 * x.std((1, 2, 3))).sum() >= 3
    assert torch.allclose(out.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=2e-3)
    flat = torch.full((2, 1, 40, 40), 0.4)
    assert torch.allclose(ContrastiveView(**WHOLE, blur=1.0)(flat), flat, atol=1e-5)


def test_what_is_inside_comes_after_the_crop():
    x = images(2, 1, 8, 8)

    class Halve(torch.nn.Module):
        def forward(self, images):
            return images / 2

    assert torch.allclose(ContrastiveView(inner=[Halve()], seed=3)(x), ContrastiveView(seed=3)(x) / 2)
    warped = ContrastiveView(**WHOLE, inner=[RandomFieldAffine(rotation=0.5, seed=2)])(x)
    assert torch.allclose(warped, RandomFieldAffine(rotation=0.5, seed=2)(x), atol=1e-5)


def test_two_calls_make_two_views_and_the_seed_decides():
    x, state = images(4, 3, 10, 10), torch.get_rng_state()
    everything = {"flip": 0.5, "jitter": 0.5, "grayscale": 0.2, "blur": 0.5}
    a, b = ContrastiveView(**everything, seed=1), ContrastiveView(**everything, seed=1)
    first = a(x)
    assert torch.equal(first, b(x)) and not torch.equal(first, a(x))
    assert first.shape == x.shape and first.min() >= 0 and first.max() <= 1
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": (0.0, 1.0)}, r"crop is \(0.0, 1.0\)"),
        ({"crop": (0.5, 1.5)}, r"crop is \(0.5, 1.5\)"),
        ({"aspect": (2.0, 1.0)}, r"aspect is \(2.0, 1.0\)"),
        ({"flip": 1.5}, "flip is 1.5; a probability"),
        ({"jitter": 2.0}, "jitter is 2.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        ContrastiveView(**settings)


def test_colours_need_one_or_three_channels():
    with pytest.raises(InputError, match="images has 2 channels"):
        ContrastiveView(jitter=0.5)(torch.zeros(1, 2, 4, 4))
