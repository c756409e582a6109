"""Hue, saturation, brightness and contrast that vary smoothly over an image."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.augment._field_transform import FieldTransform, floating
from farfield.augment.color_spaces import hsv_to_rgb, rgb_to_hsv
from farfield.errors import InputError, unknown_name

FORMS = ("multiplicative", "additive")


class RandomFieldColor(FieldTransform):
    """Change the colours of images by Gaussian random fields of hue, saturation, brightness and contrast.

    Each parameter has a field of its own, independent of the others and, by default, of other images; what it does is in
    `local_color`. It transforms in evaluation mode too. Gradients flow to the images.

    **Arguments:**
    - ``hue``: in turns; ``saturation``, ``brightness``, ``contrast``: of the logarithm of a factor, or with ``form="additive"`` of what
      is added to saturation and value. Standard deviations over an image, at least 0; all 0 is the identity.
    - ``gamma``: of the power spectrum ``|k|^-gamma``: larger is smoother.
    - ``p``: the probability that an image is transformed.
    - ``form``: "multiplicative" or "additive".
    - ``per_sample``: False gives all images of a batch the same fields.
    - ``kernel``, ``length``, ``normalise``, ``periodic``: see `farfield.augment.gaussian_random_field`; the kernel "constant" draws one
      number for an image in place of each field, which is the usual global jitter of the same strength.
    - ``seed``: of the draws, which continue from batch to batch.

    Raises InputError on a strength below 0, a probability outside [0, 1], an unknown form or kernel.

    Source: Mansfield et al., arXiv 2311.03629 (local hue, saturation, brightness); whether theirs is added or multiplied could not be
    read, and contrast is ours.

    >>> images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> RandomFieldColor(hue=0.05, brightness=0.3)(images).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self,
        hue: float = 0.0,
        saturation: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        gamma: float = 4.0,
        p: float = 1.0,
        *,
        form: str = "multiplicative",
        per_sample: bool = True,
        kernel: str = "power",
        length: float | None = None,
        normalise: str = "sample",
        periodic: bool = True,
        seed: int = 0,
    ):
        super().__init__(
            {"hue": hue, "saturation": saturation, "brightness": brightness, "contrast": contrast},
            gamma=gamma,
            p=p,
            kernel=kernel,
            length=length,
            normalise=normalise,
            periodic=periodic,
            per_sample=per_sample,
            seed=seed,
        )
        if form not in FORMS:
            raise unknown_name("form", form, FORMS)
        self.form = form

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return images with newly drawn changes, of their own type (bytes become numbers from 0 to 1).

        **Arguments:** ``images`` in [0, 1], of one channel or three. Grey images have neither hue nor saturation.

        Raises InputError on another rank, type, range or number of channels.
        """
        return self.on_chosen(floating(images, channels=(1, 3)), self._recolored)

    def fields(self, n: int, height: int, width: int, device: torch.device) -> dict[str, Tensor | None]:
        """Draw a field (n or 1, 1, height, width) of each parameter, None at strength 0."""
        chosen = self.chosen(n, device)
        drawn = self._drawn(n, height, width, device)
        if chosen is None:
            return drawn
        return {name: None if f is None else f * chosen[:, None, None, None] for name, f in drawn.items()}

    def recolor(self, images: Tensor, fields: Mapping[str, Tensor | None]) -> Tensor:
        """Return images changed by fields that were drawn before."""
        return local_color(images, **fields, form=self.form)

    def _recolored(self, images: Tensor) -> Tensor:
        n, _, height, width = images.shape
        return self.recolor(images, self._drawn(n, height, width, images.device))

    def _drawn(self, n: int, height: int, width: int, device: torch.device) -> dict[str, Tensor | None]:
        return {name: self.draw(name, n, height, width, device) for name in self.strengths}


def local_color(
    images: Float[Tensor, "n c h w"],
    hue: Float[Tensor, "n 1 h w"] | None = None,
    saturation: Float[Tensor, "n 1 h w"] | None = None,
    brightness: Float[Tensor, "n 1 h w"] | None = None,
    contrast: Float[Tensor, "n 1 h w"] | None = None,
    *,
    form: str = "multiplicative",
) -> Float[Tensor, "n c h w"]:
    """Return images whose hue, saturation and value are changed pixel by pixel.

    Hue h becomes ``h + dh`` and wraps. Saturation s becomes ``s exp(ds)`` and value v ``v exp(db)``; or with
    ``form="additive"`` ``s + ds`` and ``v + db``. Contrast comes last: ``m + (v - m) exp(dc)``, with m the image's mean value. All are cut off at
    0 and 1. Grey pixels have no hue and stay grey in both forms, so that hue and saturation do not change them.

    **Arguments:** ``images`` in [0, 1], of one channel (value alone) or three; fields of any shape that broadcasts, None is 0.

    Raises InputError on another range, type or number of channels, or an unknown form.

    >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    >>> local_color(red, hue=torch.full((1, 1, 1, 1), 1 / 3)).round()[0, :, 0, 0]
    tensor([0., 1., 0.])
    """
    images = floating(images, channels=(1, 3))
    if form not in FORMS:
        raise unknown_name("form", form, FORMS)
    low, high = (float(v) for v in images.detach().aminmax()) if images.numel() else (0.0, 1.0)
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"images has values from {low:g} to {high:g}; colours need them in [0, 1], before any normalising"
        )
    if all(f is None for f in (hue, saturation, brightness, contrast)):
        return images
    if images.shape[1] == 1:
        return _value(images, brightness, contrast, form)
    h, s, v = rgb_to_hsv(images).split(1, dim=1)
    if hue is not None:
        h = h + hue
    if saturation is not None:
        changed = s * saturation.exp() if form == "multiplicative" else torch.where(s == 0, s, s + saturation)
        s = changed.clamp(0, 1)
    v = _value(v, brightness, contrast, form)
    return hsv_to_rgb(torch.cat(torch.broadcast_tensors(h, s, v), dim=1)).to(images.dtype)


def _value(v: Tensor, brightness: Tensor | None, contrast: Tensor | None, form: str) -> Tensor:
    if brightness is not None:
        v = (v * brightness.exp() if form == "multiplicative" else v + brightness).clamp(0, 1)
    if contrast is not None:
        mean = v.mean((2, 3), keepdim=True)
        v = (mean + (v - mean) * contrast.exp()).clamp(0, 1)
    return v
