"""Noise that varies smoothly over the columns of a table, over time or over an image: an extension of the paper."""

from torch import Tensor

from farfield.augment._field_transform import FieldTransform
from farfield.errors import InputError


class RandomFieldNoise(FieldTransform):
    """Add a Gaussian random field to each example: to the columns of a row, the samples of a sequence, the pixels of an image.

    In a table ``gamma=0`` is independent noise in every column (less its mean over the columns), and larger ones suit columns in an order, such as
    a spectrum or hours of a day; standardise the columns first. Each channel of a sequence or an image has a field of its own.
    It transforms in evaluation mode too.

    **Arguments:**
    - ``strength``: standard deviation over an example, at least 0, in the unit of the data.
    - ``gamma``: of the power spectrum ``|k|^-gamma``: 0 is white, larger is smoother.
    - ``p``: the probability that an example is transformed.
    - ``per_sample``, ``kernel``, ``length``, ``normalise``, ``periodic``, ``seed``: as in `RandomFieldAffine`.

    Raises InputError on a strength below 0, a probability outside [0, 1], an unknown kernel.

    Source: an extension of Mansfield et al., arXiv 2311.03629, to what is no image; it is not in the paper.

    >>> import torch
    >>> noisy = RandomFieldNoise(0.1)(torch.zeros(4, 30))  # a table
    >>> noisy.std(1, correction=0)
    tensor([0.1000, 0.1000, 0.1000, 0.1000])
    """

    def __init__(
        self,
        strength: float = 0.0,
        gamma: float = 0.0,
        p: float = 1.0,
        *,
        per_sample: bool = True,
        kernel: str = "power",
        length: float | None = None,
        normalise: str = "sample",
        periodic: bool = True,
        seed: int = 0,
    ):
        super().__init__(
            {"strength": strength},
            gamma=gamma,
            p=p,
            kernel=kernel,
            length=length,
            normalise=normalise,
            periodic=periodic,
            per_sample=per_sample,
            seed=seed,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return examples with newly drawn noise.

        **Arguments:** ``x`` (n, d), (n, t, c) or (n, c, height, width), floating-point, with at least two columns, samples or pixels.

        Raises InputError on another rank or type.
        """
        if x.ndim not in (2, 3, 4) or not x.is_floating_point():
            raise InputError(
                f"x has shape {tuple(x.shape)} and type {x.dtype}; expected (n, d), (n, t, c) or (n, c, height, width), "
                f"floating-point numbers"
            )
        return self.on_chosen(x, self._noisy)

    def _noisy(self, x: Tensor) -> Tensor:
        # As images: a row of a table is one of a single line, and so is a sequence.
        images = x[:, None, None] if x.ndim == 2 else x.transpose(1, 2)[:, :, None] if x.ndim == 3 else x
        n, channels, height, width = images.shape
        field = self.draw("strength", n, height, width, x.device, channels=channels)
        if field is None:
            return x
        field = field[:, 0, 0] if x.ndim == 2 else field[:, :, 0].transpose(1, 2) if x.ndim == 3 else field
        return x + field.to(x.dtype)
