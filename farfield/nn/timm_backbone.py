"""Vision backbones from timm, with their own preprocessing and a new head. timm is optional and imported here alone."""

import torch
from torch import nn

from farfield.errors import InputError, MissingExtra, unknown_name
from farfield.nn.classifier import Classifier
from farfield.nn.preprocess import Preprocess
from farfield.tasks.task import Image, Task


def timm_backbone(path: str, task: Task, *, weights: bool = True) -> Classifier:
    """Return a timm backbone with a new linear head, to be trained whole (learning rate 5e-5).

    Images are resized, cropped and normalised within ``forward`` as timm's data configuration of the model says (a crop
    that cannot be centred evenly may lie one pixel from timm's).

    **Arguments:** ``path``: timm's name, such as ``resnet18.a1_in1k``; ``weights`` False leaves it untrained.

    Raises InputError on an unknown name or a task without images, MissingExtra where timm is absent.

    Source: Wightman, "PyTorch image models", https://github.com/huggingface/pytorch-image-models
    """
    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", extra="vision", needed_by=f"the model timm:{path}") from None

    if not isinstance(task.inputs, Image):
        raise InputError(f"timm:{path} takes images; the task {task.name} has {task.inputs}: use linear or mlp")
    if not timm.is_model(path.partition(".")[0]):
        raise unknown_name("timm model", path, timm.list_models())
    try:
        backbone = timm.create_model(path, pretrained=weights, num_classes=0)
    except (RuntimeError, OSError) as error:
        raise InputError(f"timm:{path} cannot be loaded: {str(error).splitlines()[0]}") from error
    settings = timm.data.resolve_model_data_config(backbone)
    channels, height, width = settings["input_size"]
    if task.inputs.channels not in (1, channels):
        raise InputError(f"timm:{path} takes images of {channels} channels (or 1, repeated); these are {task.inputs}")
    larger = int(height / settings["crop_pct"]), int(width / settings["crop_pct"])
    if settings["crop_mode"] not in ("center", "squash"):
        raise InputError(f"timm:{path} crops by {settings['crop_mode']!r}; center or squash is needed here")
    preprocess = Preprocess(
        list(settings["mean"]),
        list(settings["std"]),
        resize=larger if settings["crop_mode"] == "squash" else min(larger),
        crop=(height, width),
        interpolation=settings["interpolation"],
    )
    encoder = nn.Sequential(preprocess, backbone)
    rows = task.train[torch.arange(min(2, len(task.train)))]["x"]
    with torch.no_grad():
        features = encoder.eval()(rows).shape[1]
    return Classifier(encoder.train(), nn.Linear(features, task.outputs.count), learning_rate=5e-5, pretrained=weights)
