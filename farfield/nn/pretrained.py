"""Pretrained backbones from Hugging Face (a local folder or a hub id), each with its own preprocessing and a new head."""

from typing import Any

import torch
from torch import Tensor, nn

from farfield.errors import InputError, MissingExtra
from farfield.nn.classifier import Classifier
from farfield.nn.hub import loading
from farfield.nn.options import Option
from farfield.nn.preprocess import Preprocess
from farfield.tasks.task import Image, Task, Text, Tokens

OPTIONS = {
    "pool": Option(str, None, choices=("mean", "cls", "pooler")),
    "length": Option(int, None, low=2, high=1_000_000),
}

# Pillow's numbers. Lanczos has no counterpart here; bicubic comes closest.
INTERPOLATION = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic"}


def pretrained(path: str, task: Task, *, pool: str | None = None) -> Classifier:
    """Return a Hugging Face backbone with a new linear head, to be trained whole (learning rate 5e-5).

    **Arguments:**
    - ``path``: a local folder (needs no network) or a hub id. Only safetensors weights are read.
    - ``pool``: how positions become one vector: "mean" (for text over tokens that are no padding), "cls" (the first
      position) or "pooler" (the model's own pooled output). None: for text "mean"; for images "cls" where there is a
      class token, else "pooler" where the model has one, else "mean".

    Images are resized and normalised within ``forward`` as the model's own image processor says; text must have become
    tokens (`farfield.nn.prepare`).

    Raises InputError where the model cannot be loaded, lacks weights, or does not fit the task; MissingExtra where
    transformers is absent.

    >>> from farfield import tasks
    >>> pretrained("./no-such-folder", tasks.load("digits/rotation"))
    Traceback (most recent call last):
    farfield.errors.InputError: the model hf:./no-such-folder: there is no such folder
    """
    try:
        from transformers import AutoConfig
    except ImportError:
        raise MissingExtra("transformers", extra="hf", needed_by=f"the model hf:{path}") from None

    if isinstance(task.inputs, Text):
        raise InputError(f"the task {task.name} has raw text: prepare it with farfield.nn.prepare('hf:{path}', task)")
    is_image = isinstance(task.inputs, Image)
    if not is_image and not isinstance(task.inputs, Tokens):
        raise InputError(f"hf:{path} takes images or text; the task {task.name} has {task.inputs}: use linear or mlp")
    with loading(path, "configuration") as where:
        config = AutoConfig.from_pretrained(path, **where)
    backbone = _backbone(path, config, is_image=is_image, pool=pool)
    wanted = "pixel_values" if is_image else "input_ids"
    if backbone.main_input_name != wanted:
        takes = {"pixel_values": "images", "input_ids": "text"}.get(backbone.main_input_name, backbone.main_input_name)
        raise InputError(f"hf:{path} takes {takes}; the task {task.name} has {task.inputs}")
    if is_image:
        encoder: nn.Module = ImageEncoder(_preprocess(path, task.inputs), backbone, pool=pool)
    else:
        vocabulary = backbone.get_input_embeddings().num_embeddings
        if task.inputs.vocabulary > vocabulary:
            raise InputError(
                f"hf:{path} knows {vocabulary} tokens; the task {task.name} uses {task.inputs.vocabulary}: "
                f"prepare its text with farfield.nn.prepare('hf:{path}', task)"
            )
        encoder = TextEncoder(backbone, padding=task.inputs.padding, pool=pool or "mean")
    rows = task.train[torch.arange(min(2, len(task.train)))]["x"]
    with torch.no_grad():
        width = encoder.eval()(rows).shape[1]
    return Classifier(encoder.train(), nn.Linear(width, task.outputs.count), learning_rate=5e-5, pretrained=True)


class ImageEncoder(nn.Module):
    """Preprocessing, a vision backbone, and one vector per image.

    **Arguments:** ``pool``: as in `pretrained`.

    >>> from transformers import ResNetConfig, ResNetModel
    >>> backbone = ResNetModel(ResNetConfig(hidden_sizes=[8, 12], depths=[1, 1], embedding_size=8, layer_type="basic"))
    >>> ImageEncoder(Preprocess([0.5] * 3, [0.5] * 3), backbone, pool=None)(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 12])
    """

    def __init__(self, preprocess: Preprocess, backbone: nn.Module, *, pool: str | None):
        super().__init__()
        self.preprocess, self.backbone, self.pool = preprocess, backbone, pool
        self.has_class_token = hasattr(getattr(backbone, "embeddings", None), "cls_token")

    def forward(self, x: Tensor) -> Tensor:
        output = self.backbone(pixel_values=self.preprocess(x))
        positions = output.last_hidden_state  # (n, t, d), or (n, d, h, w) of a convolutional network
        pooled = getattr(output, "pooler_output", None)
        pool = self.pool or ("cls" if self.has_class_token else "mean" if pooled is None else "pooler")
        if pool == "pooler":
            if pooled is None:
                raise InputError(f"pool=pooler: {type(self.backbone).__name__} has no pooled output; use mean or cls")
            return pooled.flatten(1)  # (n, d)
        if pool == "cls":
            if positions.ndim != 3:
                raise InputError(f"pool=cls: {type(self.backbone).__name__} has no class token; use mean or pooler")
            return positions[:, 0]  # (n, d)
        return positions.mean(1) if positions.ndim == 3 else positions.mean((2, 3))  # (n, d)


class TextEncoder(nn.Module):
    """A text backbone on token ids (n, t), and one vector per text.

    **Arguments:** ``padding``: the id of padding, which is masked; ``pool``: as in `pretrained`.

    >>> from transformers import BertConfig, BertModel
    >>> small = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4)
    >>> TextEncoder(BertModel(small), padding=0, pool="mean")(torch.tensor([[5, 3, 0], [7, 0, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(self, backbone: nn.Module, *, padding: int, pool: str):
        super().__init__()
        self.backbone, self.padding, self.pool = backbone, padding, pool

    def forward(self, x: Tensor) -> Tensor:
        mask = x != self.padding  # (n, t)
        # Columns that are padding for every row only cost time. One always stays.
        longest = max(1, int(mask.any(0).nonzero().max()) + 1 if mask.any() else 1)
        x, mask = x[:, :longest], mask[:, :longest]
        output = self.backbone(input_ids=x, attention_mask=mask.long())
        if self.pool == "pooler":
            if getattr(output, "pooler_output", None) is None:
                raise InputError(f"pool=pooler: {type(self.backbone).__name__} has no pooled output; use mean or cls")
            return output.pooler_output  # (n, d)
        tokens = output.last_hidden_state  # (n, t, d)
        if self.pool == "cls":
            return tokens[:, 0]  # (n, d)
        weights = mask.to(tokens.dtype)[:, :, None]  # (n, t, 1)
        return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)  # (n, d)


def _backbone(path: str, config: Any, *, is_image: bool, pool: str | None) -> nn.Module:
    """Load the weights; of a model of two parts (image and text, encoder and decoder), the part that is used."""
    import inspect

    from transformers import MODEL_MAPPING, AutoModel

    extra: dict[str, Any] = {}
    kinds = MODEL_MAPPING.get(type(config), default=())
    kind = kinds[0] if isinstance(kinds, tuple) and kinds else kinds
    if pool != "pooler" and kind and "add_pooling_layer" in inspect.signature(kind.__init__).parameters:
        # An unused pooler would be trained by no gradient, and many checkpoints have none.
        extra["add_pooling_layer"] = False
    with loading(path, "weights") as where:
        model, info = AutoModel.from_pretrained(
            path, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **extra, **where
        )
    missing = sorted(info["missing_keys"])
    if missing:
        raise InputError(f"the weights of hf:{path} lack {len(missing)} tensors of its model, first {missing[0]!r}")
    if is_image and hasattr(model, "vision_model"):
        return model.vision_model
    if getattr(config, "is_encoder_decoder", False):
        return model.get_encoder()
    return model


def _preprocess(path: str, image: Image) -> Preprocess:
    """Read a model's image processor, without its code."""
    from transformers import AutoImageProcessor

    with loading(path, "image processor") as where:
        processor = AutoImageProcessor.from_pretrained(path, **where)

    def setting(name: str) -> Any:
        return getattr(processor, name, None)

    def pair(size: Any) -> tuple[int, int]:
        return int(size["height"]), int(size["width"])

    mean, std = [0.0] * 3, [1.0] * 3
    if setting("do_normalize"):
        mean, std = list(setting("image_mean")), list(setting("image_std"))
    if image.channels not in (1, len(mean)):
        raise InputError(f"hf:{path} takes images of {len(mean)} channels (or 1, repeated); these are {image}")
    if not setting("do_rescale") or abs(setting("rescale_factor") - 1 / 255) > 1e-6 or setting("rescale_offset"):
        raise InputError(f"hf:{path} does not scale pixels to [0, 1], which its image processor must do here")

    resize: tuple[int, int] | int | None = None
    crop = None
    size = setting("size")
    if setting("do_resize"):
        if size.get("height") and size.get("width"):
            resize = pair(size)
        elif size.get("shortest_edge") and not size.get("longest_edge"):
            resize = int(size["shortest_edge"])
        else:
            raise InputError(
                f"hf:{path} resizes images to {dict(size)}; a fixed size or a shortest edge is needed here"
            )
        if setting("crop_pct") and isinstance(resize, int):
            # ConvNeXt's rule: small sizes are cut out of a larger image, large ones are stretched.
            crop = (resize, resize)
            resize = int(resize / setting("crop_pct")) if resize < 384 else crop
    if setting("do_center_crop"):
        crop = pair(setting("crop_size"))
    interpolation = INTERPOLATION.get(int(setting("resample") or 0))
    if interpolation is None:
        raise InputError(f"hf:{path} resizes with Pillow's filter {setting('resample')}, which is not offered here")
    return Preprocess(mean, std, resize=resize, crop=crop, interpolation=interpolation)
