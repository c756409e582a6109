"""What the transformations with random fields share: their strengths, their draws, and how images come in."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from farfield.augment.random_field import check_kernel, gaussian_random_field
from farfield.errors import InputError


class FieldTransform(nn.Module):
    """A transformation whose parameters are random fields: a standard deviation for each, and one smoothness for all.

    **Arguments:** as the transformations have them; ``strengths``: name of a parameter -> standard deviation, at least 0.

    Raises InputError on a strength below 0, a probability outside [0, 1], or settings that the kernel does not take.

    >>> FieldTransform({"rotation": 0.1}, seed=0).draw("rotation", 2, 4, 4, torch.device("cpu")).shape
    torch.Size([2, 1, 4, 4])
    """

    def __init__(
        self,
        strengths: Mapping[str, float],
        *,
        gamma: float = 4.0,
        p: float = 1.0,
        kernel: str = "power",
        length: float | None = None,
        normalise: str = "sample",
        periodic: bool = True,
        per_sample: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        for name, strength in strengths.items():
            if not (strength >= 0 and math.isfinite(strength)):
                raise InputError(f"{name} is {strength}; a standard deviation is at least 0 and finite")
        if not 0 <= p <= 1:
            raise InputError(f"p is {p}; a probability is from 0 to 1")
        if kernel != "constant":
            check_kernel(kernel, gamma, length)
        self.strengths, self.p, self.per_sample, self.seed = dict(strengths), p, per_sample, seed
        self.gamma, self.kernel, self.length, self.normalise, self.periodic = gamma, kernel, length, normalise, periodic
        self._generators: dict[torch.device, torch.Generator] = {}

    def draw(
        self, name: str, n: int, height: int, width: int, device: torch.device, channels: int = 1
    ) -> Tensor | None:
        """Return fields of a parameter (n or 1, channels, height, width) times its strength, or None at strength 0."""
        strength = self.strengths[name]
        if strength == 0:
            return None
        count = n if self.per_sample else 1
        generator = self.generator(device)
        if self.kernel == "constant":
            field = torch.randn(count, channels, 1, 1, generator=generator, device=device).expand(-1, -1, height, width)
        else:
            field = gaussian_random_field(
                (count, channels, height, width),
                self.gamma,
                self.normalise,  # type: ignore[arg-type]
                self.periodic,
                self.kernel,  # type: ignore[arg-type]
                self.length,
                generator,
                device,
            )
        return field * strength

    def chosen(self, n: int, device: torch.device) -> Tensor | None:
        """Return which of n examples are transformed, (n,) bool, or None for all."""
        if self.p == 1:
            return None
        return torch.rand(n, generator=self.generator(device), device=device) < self.p

    def on_chosen(self, x: Tensor, transform: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the examples, those that are chosen transformed and the others as they came."""
        chosen = self.chosen(len(x), x.device)
        if chosen is None:
            return transform(x)
        rows = chosen.nonzero().flatten()
        # Only these are transformed, which is what the time goes into.
        return x.index_copy(0, rows, transform(x[rows])) if len(rows) else x

    def generator(self, device: torch.device) -> torch.Generator:
        """Return the generator of a device, which starts from the seed at its first use."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]

    def extra_repr(self) -> str:
        shown = {**self.strengths, "gamma": self.gamma, "p": self.p, "kernel": self.kernel, "length": self.length}
        return ", ".join(f"{k}={v}" for k, v in shown.items() if v is not None)


def floating(images: Tensor, *, channels: tuple[int, ...] = ()) -> Tensor:
    """Return images (n, channels, height, width) as floating-point numbers; bytes are divided by 255.

    Raises InputError on another rank, type or number of channels, and on images of less than two pixels.

    >>> floating(torch.full((1, 1, 1, 2), 255, dtype=torch.uint8))
    tensor([[[[1., 1.]]]])
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[2] * images.shape[3] < 2:
        came = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise InputError(f"images is {came}; expected a tensor (n, channels, height, width) of at least two pixels")
    if channels and images.shape[1] not in channels:
        raise InputError(f"images has {images.shape[1]} channels; expected {' or '.join(map(str, channels))}")
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise InputError(f"images is {images.dtype}; expected floating-point numbers, or bytes (uint8)")
    return images
