"""Random fields as a transform of torchvision: images, masks and boxes warped alike."""

from typing import Any

import torch
from torch import nn

from farfield.augment.random_field_affine import RandomFieldAffine, warp_boxes, warp_images, warp_masks
from farfield.augment.random_field_color import RandomFieldColor
from farfield.errors import InputError, MissingExtra


def torchvision_transform(transform: RandomFieldAffine | RandomFieldColor) -> nn.Module:
    """Return a ``torchvision.transforms.v2.Transform`` that applies random fields to samples of torchvision's types.

    Images, masks and boxes of one sample share one draw. Images are warped and coloured; masks are warped by the nearest
    pixel, and boxes become the smallest ones around what they held (all 0 where nothing is left: ``SanitizeBoundingBoxes`` drops them).
    Colours change images alone. Labels and anything else pass through. Videos (t, c, h, w) get the same fields in each frame.

    **Arguments:** ``transform``: its settings, draws included, are used; ``per_sample`` makes no difference, as a sample is one image.

    Raises MissingExtra where torchvision is not installed, InputError on another transformation. Called, the transform raises
    InputError on a Pillow image (put ``v2.ToImage()`` before it) and where there is neither image nor mask.

    >>> torchvision_transform(nn.Identity())
    Traceback (most recent call last):
    farfield.errors.InputError: transform is Identity; expected a RandomFieldAffine or a RandomFieldColor
    """
    if not isinstance(transform, RandomFieldAffine | RandomFieldColor):
        raise InputError(f"transform is {type(transform).__name__}; expected a RandomFieldAffine or a RandomFieldColor")
    try:
        from torchvision import tv_tensors
        from torchvision.transforms import v2
        from torchvision.transforms.v2.functional import convert_bounding_box_format
    except ImportError as error:
        raise MissingExtra("torchvision", extra="vision", needed_by="torchvision_transform") from error

    class RandomFieldTransform(v2.Transform):
        def __init__(self) -> None:
            super().__init__()
            self.fields = transform

        def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
            if any(type(item).__module__.startswith("PIL.") for item in flat_inputs):
                raise InputError("a Pillow image came; put torchvision's v2.ToImage() before this transform")
            kinds = tv_tensors.Image | tv_tensors.Video | tv_tensors.Mask
            found = [item for item in flat_inputs if isinstance(item, kinds)] or [
                item for item in flat_inputs if type(item) is torch.Tensor and item.ndim >= 3
            ]
            if not found:
                raise InputError(
                    "the sample holds no image and no mask; expected one, as a tensor or of torchvision's types"
                )
            height, width = found[0].shape[-2:]
            if isinstance(transform, RandomFieldColor):
                return {"fields": transform.fields(1, height, width, found[0].device)}
            return {"source": transform.sources(1, height, width, found[0].device)}

        def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
            values = inpt.as_subclass(torch.Tensor)
            if isinstance(inpt, tv_tensors.BoundingBoxes):
                if "fields" in params:
                    return inpt
                corners = tv_tensors.BoundingBoxFormat.XYXY
                xyxy = convert_bounding_box_format(values, old_format=inpt.format, new_format=corners)
                moved, _ = warp_boxes(xyxy.float(), params["source"][0], tuple(inpt.canvas_size))
                back = convert_bounding_box_format(moved, old_format=corners, new_format=inpt.format)
                return tv_tensors.wrap(back.to(values.dtype), like=inpt)
            if isinstance(inpt, tv_tensors.Mask):
                if "fields" in params:
                    return inpt
                layers = values.reshape(1, -1, *values.shape[-2:])
                return tv_tensors.wrap(warp_masks(layers, params["source"]).view_as(values), like=inpt)
            images = values.reshape(-1, *values.shape[-3:])
            if "fields" in params:
                out = transform.recolor(images, params["fields"])
            else:
                out = warp_images(images, params["source"], padding_mode=transform.padding_mode)
            return tv_tensors.wrap(out.reshape(values.shape), like=inpt)

    return RandomFieldTransform()
