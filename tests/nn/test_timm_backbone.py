import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from farfield import nn
from farfield.errors import InputError, MissingExtra
from farfield.methods.erm import erm
from farfield.nn.timm_backbone import timm_backbone
from farfield.nn.tuning import tune

ABSENT = importlib.util.find_spec("timm") is None
needs_timm = pytest.mark.skipif(ABSENT, reason="needs the package timm")


@pytest.mark.skipif(not ABSENT, reason="timm is installed")
def test_an_absent_timm_is_named_with_its_extra(image_task):
    with pytest.raises(MissingExtra, match=r"the model timm:resnet18 needs the package timm.*farfield\[vision\]"):
        nn.load("timm:resnet18", image_task())


@needs_timm
@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "convnext_atto", "vit_base_patch32_clip_quickgelu_224.openai"]
)
def test_images_are_preprocessed_as_timm_does(image_task, name):
    import timm

    model = timm_backbone(name, image_task(3, 40), weights=False)
    settings = timm.data.resolve_model_data_config(model.encoder[1])
    theirs = timm.data.create_transform(**settings, is_training=False)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype="uint8")
    ours = model.encoder[0](torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)[0]
    assert (ours - theirs(Pillow.fromarray(pixels))).abs().max() < 1.1 / 255 / min(settings["std"])


@needs_timm
def test_a_probe_on_a_timm_backbone_trains_the_head_alone(image_task):
    task = image_task(1, 8, n=4)
    model = tune(timm_backbone("resnet10t", task, weights=False), "probe")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    after = erm(model, task, steps=1, batch_size=2).model.state_dict()
    assert {k for k in after if not after[k].equal(before[k])} == {"head.weight", "head.bias"}


@needs_timm
def test_what_timm_does_not_know_or_take_is_refused(image_task, vector_task):
    for name, task, message in (
        ("timm:resnet1888", image_task(), "unknown timm model 'resnet1888'; nearest: resnet18"),
        ("timm:resnet18.nope", image_task(), r"timm:resnet18\.nope cannot be loaded"),
        ("timm:resnet18", vector_task(), "takes images; the task hand has vectors of 6 features"),
    ):
        with pytest.raises(InputError, match=message):
            nn.load(name, task)
    with pytest.raises(InputError, match=r"takes images of 3 channels"):
        timm_backbone("resnet10t", image_task(2), weights=False)
