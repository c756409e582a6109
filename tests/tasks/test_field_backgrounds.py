import pytest
import torch

from farfield.augment import rgb_to_hsv
from farfield.errors import InputError
from farfield.measure import field_correlation_length
from farfield.tasks import field_backgrounds


def test_ink_is_one_bright_colour_and_the_background_dark_smooth_and_coloured():
    ink = torch.zeros(50, 1, 16, 16)
    ink[:, :, 4:8, 4:8] = 1
    hue, saturation, value = rgb_to_hsv(field_backgrounds(ink)).unbind(1)
    pen, ground = ink[:, 0] == 1, ink[:, 0] == 0
    assert torch.allclose(value[pen], torch.ones(1)) and value[ground].min() >= 0.1 - 1e-6
    assert value[ground].max() <= 0.6 + 1e-6 and torch.allclose(saturation, torch.tensor(0.7), atol=1e-4)
    assert hue[:, 4:8, 4:8].std((1, 2)).max() < 1e-5  # one colour for each image
    assert hue[:, 5, 5].std() > 0.2  # another for every one
    assert field_correlation_length(field_backgrounds(torch.zeros(50, 1, 16, 16))[:, 0]) > 1.5


def test_colours_say_nothing_about_the_ink_and_greys_blend():
    half = field_backgrounds(torch.full((3, 1, 8, 8), 0.5), seed=2)
    none, all_ = (field_backgrounds(torch.full((3, 1, 8, 8), v), seed=2) for v in (0.0, 1.0))
    assert torch.allclose(half, (none + all_) / 2, atol=1e-6)


def test_the_seed_decides():
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(field_backgrounds(x, seed=1), field_backgrounds(x, seed=1))
    assert not torch.equal(field_backgrounds(x, seed=1), field_backgrounds(x, seed=2))


@pytest.mark.parametrize("x", [torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4), torch.full((1, 1, 4, 4), 1.5)])
def test_other_images_are_refused(x):
    with pytest.raises(InputError, match="images has"):
        field_backgrounds(x)
