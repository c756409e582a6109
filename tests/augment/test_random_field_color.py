"""Local colours: identity, constant fields, greys, ranges."""

import math

import pytest
import torch

from farfield.augment import RandomFieldColor, local_color, rgb_to_hsv
from farfield.errors import InputError

FULL = {"hue": 0.1, "saturation": 0.3, "brightness": 0.3, "contrast": 0.2}


def images(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def constant(value):
    return torch.full((1, 1, 1, 1), value)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", ["multiplicative", "additive"])
def test_without_strength_and_with_fields_of_0_it_is_the_identity(channels, form):
    x = images(2, channels, 8, 8)
    assert torch.equal(RandomFieldColor(form=form)(x), x)
    zero = constant(0.0)
    assert torch.allclose(local_color(x, zero, zero, zero, zero, form=form), x, atol=1e-6)


def test_a_third_of_a_turn_makes_red_green_and_another_blue():
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    green, blue = (local_color(red, hue=constant(turns)) for turns in (1 / 3, -1 / 3))
    assert torch.allclose(green, red.roll(1, 1), atol=1e-6) and torch.allclose(blue, red.roll(2, 1), atol=1e-6)


@pytest.mark.parametrize("form", ["multiplicative", "additive"])
def test_greys_are_not_changed_by_hue_and_saturation(form):
    grey = images(2, 1, 8, 8).expand(-1, 3, -1, -1)
    field = images(2, 1, 8, 8, seed=1) - 0.3
    assert torch.allclose(local_color(grey, hue=field, saturation=field, form=form), grey, atol=1e-6)


def test_each_parameter_changes_what_it_is_called():
    x, by = images(1, 3, 8, 8, dtype=torch.float64) * 0.5, constant(0.2).double()
    h, s, v = rgb_to_hsv(x).unbind(1)
    assert torch.allclose(rgb_to_hsv(local_color(x, hue=by))[:, 0], (h + 0.2) % 1, atol=1e-9)
    saturated = rgb_to_hsv(local_color(x, saturation=by))
    assert torch.allclose(saturated[:, 1], (s * math.exp(0.2)).clamp(max=1), atol=1e-9)
    assert torch.allclose(saturated[:, 2], v)
    assert torch.allclose(rgb_to_hsv(local_color(x, brightness=by))[:, 2], v * math.exp(0.2), atol=1e-9)
    contrast = rgb_to_hsv(local_color(x, contrast=by))[:, 2]
    assert torch.allclose(contrast, (v.mean() + (v - v.mean()) * math.exp(0.2)).clamp(0, 1), atol=1e-9)
    added = rgb_to_hsv(local_color(x, saturation=by, brightness=by, form="additive"))
    assert torch.allclose(added[:, 1], (s + 0.2).clamp(max=1), atol=1e-9)
    assert torch.allclose(added[:, 2], v + 0.2, atol=1e-9)


def test_a_field_changes_each_pixel_by_its_own_number():
    x, field = torch.full((1, 1, 1, 3), 0.5), torch.tensor([0.0, -1.0, 5.0]).view(1, 1, 1, 3)
    wanted = torch.tensor([0.5, 0.5 * math.exp(-1), 1.0])
    assert torch.allclose(local_color(x, brightness=field).flatten(), wanted)
    assert torch.allclose(local_color(x.expand(1, 3, 1, 3), brightness=field)[0, 2].flatten(), wanted)


@pytest.mark.parametrize("form", ["multiplicative", "additive"])
@pytest.mark.parametrize("channels", [1, 3])
def test_strong_fields_stay_within_0_and_1(form, channels):
    x = RandomFieldColor(2.0, 3.0, 3.0, 3.0, gamma=0.0, form=form)(images(8, channels, 8, 8))
    assert x.min() >= 0 and x.max() <= 1 and x.std() > 0.1


def test_strengths_are_standard_deviations_over_the_image():
    x = torch.full((10, 1, 16, 16), 0.2)
    logs = (RandomFieldColor(brightness=0.3, seed=1)(x) / 0.2).log()
    assert torch.allclose(logs.std((1, 2, 3), correction=0), torch.full((10,), 0.3), atol=1e-4)


def test_parameters_and_views_are_uncorrelated():
    made = RandomFieldColor(hue=0.1, brightness=0.1)
    first, second = (made.fields(3000, 8, 8, torch.device("cpu")) for _ in range(2))
    rows = torch.stack([f[:, 0, 2, 5] for f in (first["hue"], first["brightness"], second["hue"])])
    assert (torch.corrcoef(rows) - torch.eye(3)).abs().max() < 4 / math.sqrt(3000)


def test_the_kernel_constant_changes_an_image_as_a_whole():
    out = RandomFieldColor(brightness=0.3, kernel="constant")(torch.full((500, 1, 4, 4), 0.3))
    assert out.std((1, 2, 3)).max() < 1e-6
    assert (out[:, 0, 0, 0] / 0.3).log().std() == pytest.approx(0.3, rel=0.15)


def test_the_seed_decides_images_have_fields_of_their_own_and_p_of_them_are_changed():
    x = images(1, 3, 6, 6).expand(1000, -1, -1, -1)
    first, again = (RandomFieldColor(**FULL, p=0.3, seed=4)(x) for _ in range(2))
    assert torch.equal(first, again)
    changed = (first != x).flatten(1).any(1)
    assert abs(float(changed.float().mean()) - 0.3) < 0.06
    a, b = first[changed][:2]
    assert (a - b).abs().max() > 0.05
    shared = RandomFieldColor(**FULL, per_sample=False)(x[:2])
    assert torch.equal(shared[0], shared[1])
    fields = RandomFieldColor(**FULL, p=0.3, seed=4).fields(1000, 6, 6, torch.device("cpu"))
    assert torch.equal((fields["hue"] != 0).flatten(1).any(1), changed)


def test_gradients_flow_to_the_images():
    x = images(1, 3, 3, 3, dtype=torch.float64).mul(0.8).add(0.1).requires_grad_()
    field = 0.1 * images(1, 1, 3, 3, seed=1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: local_color(v, field, field, field, field), (x,))


def test_bytes_become_numbers_from_0_to_1():
    x = (images(1, 3, 8, 8) * 255).round().to(torch.uint8)
    assert torch.equal(RandomFieldColor(**FULL)(x), RandomFieldColor(**FULL)(x.float() / 255))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(1, 2, 4, 4), "images has 2 channels; expected 1 or 3"),
        (torch.full((1, 3, 4, 4), 1.5), r"images has values from 1.5 to 1.5; colours need them in \[0, 1\]"),
        (torch.full((1, 3, 4, 4), math.nan), "images has values from nan"),
        (torch.zeros(3, 4, 4), r"expected a tensor \(n, channels, height, width\)"),
    ],
)
def test_images_of_another_kind_are_refused(x, message):
    with pytest.raises(InputError, match=message):
        RandomFieldColor(**FULL)(x)


def test_settings_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"hue is -0\.1"):
        RandomFieldColor(hue=-0.1)
    with pytest.raises(InputError, match="unknown form 'added'"):
        RandomFieldColor(form="added")
    with pytest.raises(InputError, match="unknown form 'added'"):
        local_color(images(1, 3, 2, 2), form="added")
