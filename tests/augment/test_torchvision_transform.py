"""Random fields on torchvision's samples; refusals run without it too."""

import pytest
import torch

from farfield.augment import (
    RandomFieldAffine,
    RandomFieldColor,
    torchvision_transform,
    warp_boxes,
    warp_images,
    warp_masks,
)
from farfield.errors import InputError

FULL = {"rotation": 0.3, "scale": 0.2, "shear": 0.1, "translation": 0.1}


@pytest.fixture
def sample():
    tv = pytest.importorskip("torchvision.tv_tensors")
    g = torch.Generator().manual_seed(0)
    return {
        "image": tv.Image(torch.rand(3, 16, 20, generator=g)),
        "mask": tv.Mask(torch.randint(5, (16, 20), generator=g)),
        "boxes": tv.BoundingBoxes([[2, 3, 9, 8.0], [1, 1, 2, 2.0]], format="XYWH", canvas_size=(16, 20)),
        "label": 3,
    }


def test_image_mask_and_boxes_are_warped_alike(sample):
    out = torchvision_transform(RandomFieldAffine(**FULL, seed=1))(sample)
    source = RandomFieldAffine(**FULL, seed=1).sources(1, 16, 20)
    assert {key: type(value) for key, value in out.items()} == {key: type(value) for key, value in sample.items()}
    plain = {key: sample[key].as_subclass(torch.Tensor) for key in ("image", "mask", "boxes")}
    assert torch.equal(out["image"].as_subclass(torch.Tensor), warp_images(plain["image"][None], source)[0])
    assert torch.equal(out["mask"].as_subclass(torch.Tensor), warp_masks(plain["mask"][None], source)[0])
    left, top, width, height = plain["boxes"].T
    moved, _ = warp_boxes(torch.stack([left, top, left + width, top + height], 1), source[0])
    assert torch.equal(out["boxes"][:, :2].as_subclass(torch.Tensor), moved[:, :2])
    assert torch.equal(out["boxes"][:, 2:].as_subclass(torch.Tensor), moved[:, 2:] - moved[:, :2])
    assert out["label"] == 3


def test_colours_change_the_image_alone(sample):
    out = torchvision_transform(RandomFieldColor(hue=0.1, brightness=0.2))(sample)
    assert not torch.equal(out["image"], sample["image"])
    assert torch.equal(out["mask"], sample["mask"]) and torch.equal(out["boxes"], sample["boxes"])


def test_a_sample_without_a_picture_and_pillows_are_refused(sample):
    from PIL import Image

    transform = torchvision_transform(RandomFieldAffine(**FULL))
    with pytest.raises(InputError, match="holds no image and no mask"):
        transform(5)
    with pytest.raises(InputError, match=r"put torchvision's v2\.ToImage"):
        transform(Image.new("RGB", (4, 4)))


def test_other_transformations_are_refused():
    with pytest.raises(InputError, match="transform is Linear; expected a RandomFieldAffine or a RandomFieldColor"):
        torchvision_transform(torch.nn.Linear(1, 1))
