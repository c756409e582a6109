"""Local affine warps: identity, constant fields, known geometry, masks and boxes."""

import math

import pytest
import torch
from torch.nn.functional import affine_grid

from farfield.augment import RandomFieldAffine, affine_source, warp_boxes, warp_images, warp_masks
from farfield.errors import InputError
from farfield.measure import warp_distortion

FULL = {"rotation": 0.3, "scale": 0.2, "shear": 0.2, "translation": 0.1}


def images(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def constant(*values):
    return torch.tensor(values).view(1, -1, 1, 1)


@pytest.mark.parametrize("padding", ["zeros", "reflection", "border"])
@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 1, 9, 14), (1, 2, 32, 5)])
def test_without_strength_it_is_the_identity(shape, padding):
    x = images(*shape)
    assert (RandomFieldAffine(padding_mode=padding)(x) - x).abs().max() < 2e-6
    double = x.double()
    assert (RandomFieldAffine(padding_mode=padding)(double) - double).abs().max() < 2e-6


@pytest.mark.parametrize("side", [8, 9])
def test_a_constant_quarter_turn_is_rot90(side):
    x = images(1, 2, side, side)
    turned = warp_images(x, affine_source((side, side), rotation=constant(math.pi / 2)))
    # The output at (right, down) is the input at (-down, right): up becomes right, so it turns counter-clockwise.
    assert torch.allclose(turned, torch.rot90(x, 1, (2, 3)), atol=1e-5)


def test_a_constant_scale_of_log_2_shows_the_input_at_twice_the_position():
    x = images(1, 1, 16, 16)
    out = warp_images(x, affine_source((16, 16), scale=constant(math.log(2))))
    # Centres of output pixels lie at input pixels' corners: means of four.
    assert torch.allclose(out[..., 4:12, 4:12], torch.nn.functional.avg_pool2d(x, 2), atol=1e-5)
    assert (out[..., :3, :] == 0).all() and (out[..., 13:] == 0).all()


def test_a_constant_translation_of_2_over_width_is_a_shift_by_one_pixel():
    x = images(1, 1, 8, 8)
    right = warp_images(x, affine_source((8, 8), translation=constant(2 / 8, 0.0)))
    assert torch.allclose(right[..., :-1], x[..., 1:], atol=1e-6) and right[..., -1].abs().max() < 1e-5
    down = warp_images(x, affine_source((8, 8), translation=constant(0.0, 2 / 8)))
    assert torch.allclose(down[..., :-1, :], x[..., 1:, :], atol=1e-6)


def test_constant_fields_are_the_global_affine_transformation():
    theta, s, kappa, t = 0.4, (0.2, -0.1), 0.3, (0.1, -0.2)
    rotation = torch.tensor([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    matrix = rotation @ torch.diag(torch.tensor(s).exp()) @ torch.tensor([[1.0, kappa], [0.0, 1.0]])
    wanted = affine_grid(torch.cat([matrix, torch.tensor(t)[:, None]], 1)[None], [1, 1, 8, 8], align_corners=False)
    found = affine_source((8, 8), constant(theta), constant(*s), constant(kappa), constant(*t))
    assert torch.allclose(found, wanted, atol=1e-6)


def test_the_centre_stays_where_it_is():
    # On a grid of 3 x 3 its last pixel lies at (2/3, 2/3).
    source = affine_source((3, 3), constant(1.0), constant(0.5), constant(0.2), center=(2 / 3, 2 / 3))
    assert torch.allclose(source[0, 2, 2], torch.tensor([2 / 3, 2 / 3]), atol=1e-6)


def test_oblong_images_are_turned_and_not_sheared():
    height, width = 6, 12
    source = affine_source((height, width), rotation=constant(0.5))
    pixels = source[0] * torch.tensor([width / 2, height / 2])
    before = affine_source((height, width))[0] * torch.tensor([width / 2, height / 2])
    assert torch.allclose(pixels.norm(dim=-1), before.norm(dim=-1), atol=1e-5)


def test_a_field_moves_each_pixel_by_its_own_numbers():
    rotation, shift = images(1, 1, 4, 5, seed=1), images(1, 2, 4, 5, seed=2)
    source = affine_source((4, 5), rotation, None, None, shift)
    for row, column in ((0, 0), (2, 3), (3, 4)):
        x, y = (2 * column + 1) / 5 - 1, ((2 * row + 1) / 4 - 1) * 4 / 5
        c, s = math.cos(rotation[0, 0, row, column]), math.sin(rotation[0, 0, row, column])
        u = c * x - s * y + shift[0, 0, row, column], (s * x + c * y + shift[0, 1, row, column]) * 5 / 4
        assert torch.allclose(source[0, row, column], torch.stack(u), atol=1e-6)


def test_strengths_are_standard_deviations():
    made = RandomFieldAffine(translation=0.1, seed=3)
    moved = made.sources(20, 16, 16) - affine_source((16, 16))
    assert torch.allclose(moved.std((1, 2), correction=0), torch.full((20, 2), 0.1), atol=1e-4)
    # As many pixels on average: 8 * 0.1 * E |(z, z')| with E = sqrt(pi / 2), as fields are Gaussian.
    many = RandomFieldAffine(translation=0.1, gamma=2.0).sources(400, 16, 16)
    assert warp_distortion(many).displacement == pytest.approx(0.8 * math.sqrt(math.pi / 2), rel=0.03)


def test_one_scale_or_one_for_each_direction():
    same = RandomFieldAffine(scale=0.3, seed=1).sources(1, 8, 8) / affine_source((8, 8))
    assert torch.allclose(same[..., 0], same[..., 1], atol=1e-5)
    two = RandomFieldAffine(scale=0.3, seed=1, isotropic=False).sources(1, 8, 8) / affine_source((8, 8))
    assert (two[..., 0] - two[..., 1]).abs().max() > 0.1


def test_the_kernel_constant_moves_an_image_as_a_whole():
    made = RandomFieldAffine(translation=0.2, kernel="constant")
    moved = made.sources(2000, 4, 4) - affine_source((4, 4))
    assert moved.std((1, 2)).max() < 1e-6
    assert moved[:, 0, 0, 0].std() == pytest.approx(0.2, rel=0.1)


def test_images_have_fields_of_their_own_unless_told_otherwise():
    x = images(1, 1, 12, 12).expand(2, -1, -1, -1)
    own, shared = RandomFieldAffine(**FULL)(x), RandomFieldAffine(**FULL, per_sample=False)(x)
    assert (own[0] - own[1]).abs().max() > 0.1
    assert torch.equal(shared[0], shared[1]) and (shared - x).abs().max() > 0.1


def test_two_views_are_uncorrelated_and_so_are_parameters():
    made = RandomFieldAffine(translation=0.1)
    base = affine_source((8, 8))
    first, second = (made.sources(3000, 8, 8) - base for _ in range(2))
    rows = torch.stack([first[:, 2, 5, 0], first[:, 2, 5, 1], second[:, 2, 5, 0]])
    found = torch.corrcoef(rows) - torch.eye(3)
    assert found.abs().max() < 4 / math.sqrt(3000)


def test_the_seed_decides_and_draws_go_on():
    x, state = images(2, 1, 8, 8), torch.get_rng_state()
    a, b, c = RandomFieldAffine(**FULL, seed=1), RandomFieldAffine(**FULL, seed=1), RandomFieldAffine(**FULL, seed=2)
    first = a(x)
    assert torch.equal(first, b(x))
    assert not torch.equal(first, c(x)) and not torch.equal(first, a(x))
    assert torch.equal(torch.get_rng_state(), state)


def test_images_are_changed_with_probability_p():
    x = images(2000, 1, 4, 4)
    changed = (RandomFieldAffine(**FULL, p=0.3)(x) != x).flatten(1).any(1)
    assert abs(float(changed.float().mean()) - 0.3) < 0.04
    moved = RandomFieldAffine(**FULL, p=0.3).sources(2000, 4, 4) != affine_source((4, 4))
    assert torch.equal(moved.flatten(1).any(1), changed)
    assert torch.equal(RandomFieldAffine(**FULL, p=0.0)(x), x)


def test_gradients_flow_to_the_images():
    x = images(2, 1, 6, 6, dtype=torch.float64).requires_grad_()
    source = RandomFieldAffine(**FULL).sources(2, 6, 6).double()
    assert torch.autograd.gradcheck(lambda v: warp_images(v, source), (x,))
    field = images(1, 1, 6, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: affine_source((6, 6), rotation=f), (field,))


def test_types_come_back_and_bytes_become_numbers_from_0_to_1():
    x = images(1, 3, 8, 8)
    assert RandomFieldAffine(**FULL)(x.half()).dtype == torch.float16
    bytes_ = (x * 255).round().to(torch.uint8)
    assert torch.allclose(RandomFieldAffine(**FULL)(bytes_), RandomFieldAffine(**FULL)(bytes_.float() / 255))


def test_masks_hold_the_same_classes_and_follow_their_image():
    masks = torch.randint(3, (4, 12, 12), generator=torch.Generator().manual_seed(0)) * 10
    source = RandomFieldAffine(**FULL).sources(4, 12, 12)
    warped = warp_masks(masks, source)
    assert warped.dtype == torch.int64 and set(warped.unique().tolist()) <= {0, 10, 20}
    slow = warp_images(masks[:, None].double(), source.double(), mode="nearest")[:, 0]
    assert (warped == slow).double().mean() > 0.995  # a position halfway between two pixels may go either way
    assert torch.equal(warp_masks(masks, affine_source((12, 12))), masks)
    outside = warp_masks(masks, affine_source((12, 12), translation=constant(1.0, 0.0)), outside=255)
    assert (outside[..., 6:] == 255).all() and torch.equal(outside[..., :6], masks[..., 6:])
    layers = masks[:, None].expand(-1, 2, -1, -1)
    assert torch.equal(warp_masks(layers, source)[:, 1], warped)
    large = torch.tensor([[[2**40 + 1, 7]]])
    assert torch.equal(warp_masks(large, affine_source((1, 2))), large)


def test_boxes_follow_what_they_hold():
    boxes = torch.tensor([[2.0, 1.0, 5.0, 4.0], [0.0, 0.0, 1.0, 1.0]])
    moved, there = warp_boxes(boxes, affine_source((8, 8), translation=constant(2 / 8, 2 / 8))[0])
    assert moved.tolist() == [[1.0, 0.0, 4.0, 3.0], [0.0, 0.0, 0.0, 0.0]]
    assert there.tolist() == [True, False]
    still, _ = warp_boxes(boxes, affine_source((8, 8))[0])
    assert torch.equal(still, boxes)
    # Around a mask that is warped with it.
    source = RandomFieldAffine(**FULL).sources(1, 32, 32)
    mask = torch.zeros(1, 32, 32, dtype=torch.long)
    mask[0, 10:20, 8:24] = 1
    at = warp_masks(mask, source)[0].nonzero()
    wanted = [at[:, 1].min(), at[:, 0].min(), at[:, 1].max() + 1, at[:, 0].max() + 1]
    assert warp_boxes(torch.tensor([[8.0, 10.0, 24.0, 20.0]]), source[0])[0][0].tolist() == [float(v) for v in wanted]


@pytest.mark.parametrize("strength", list(FULL))
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_strengths_out_of_range_are_refused(strength, value):
    with pytest.raises(InputError, match=f"{strength} is {value}"):
        RandomFieldAffine(**{strength: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"p": 1.5}, "p is 1.5; a probability is from 0 to 1"),
        ({"padding_mode": "zero"}, "unknown padding_mode 'zero'; nearest: zeros"),
        ({"kernel": "rbf"}, "the kernel rbf needs a length"),
        ({"gamma": -2.0}, "gamma is -2.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        RandomFieldAffine(**settings)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 8, 8), r"images is \(3, 8, 8\); expected a tensor \(n, channels, height, width\)"),
        (torch.zeros(1, 1, 1, 1), "at least two pixels"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.int64), "images is torch.int64; expected floating-point numbers"),
        ([[1.0]], "images is list"),
    ],
)
def test_images_of_another_kind_are_refused(x, message):
    with pytest.raises(InputError, match=message):
        RandomFieldAffine()(x)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="source has shape"):
        warp_images(images(2, 1, 4, 4), affine_source((4, 4)).expand(3, -1, -1, -1))
    with pytest.raises(InputError, match="masks has shape"):
        warp_masks(torch.zeros(4, 4), affine_source((4, 4)))
    with pytest.raises(InputError, match="boxes has shape"):
        warp_boxes(torch.zeros(4), affine_source((4, 4))[0])
