"""Sequences whose time runs now faster, now slower: random fields of one dimension, an extension of the paper."""

from jaxtyping import Float
from torch import Tensor

from farfield.augment._field_transform import FieldTransform
from farfield.augment.random_field_affine import affine_source, warp_images
from farfield.errors import InputError


class RandomFieldTimeWarp(FieldTransform):
    """Warp sequences in time by a Gaussian random field, and make them louder here and softer there by another.

    The output at time t is the input at ``t + warp * T * f(t)``, linear between samples and continued with the first and the last one
    outside; then all channels are multiplied by ``exp(gain * g(t))``. All channels share their fields. Time runs
    backwards for a while where ``warp`` is large and ``gamma`` small. It transforms in evaluation mode too.

    **Arguments:**
    - ``warp``: standard deviation of the displacement, as a share of the sequence's length; ``gain``: of the logarithm of the factor.
    - ``gamma``: of the power spectrum ``|k|^-gamma``: larger is smoother.
    - ``p``: the probability that a sequence is transformed.
    - ``per_sample``, ``kernel``, ``length``, ``normalise``, ``periodic``, ``seed``: as in `RandomFieldAffine`.

    Raises InputError on a strength below 0, a probability outside [0, 1], an unknown kernel.

    Source: an extension of Mansfield et al., arXiv 2311.03629, to one dimension; it is not in the paper.

    >>> import torch
    >>> RandomFieldTimeWarp(warp=0.05)(torch.linspace(0, 1, 50).view(1, 50, 1)).shape
    torch.Size([1, 50, 1])
    """

    def __init__(
        self,
        warp: float = 0.0,
        gain: float = 0.0,
        gamma: float = 4.0,
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
            {"warp": warp, "gain": gain},
            gamma=gamma,
            p=p,
            kernel=kernel,
            length=length,
            normalise=normalise,
            periodic=periodic,
            per_sample=per_sample,
            seed=seed,
        )

    def forward(self, sequences: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        """Return sequences with newly drawn fields. Raises InputError on another rank or type, or less than two samples."""
        if sequences.ndim != 3 or sequences.shape[1] < 2 or not sequences.is_floating_point():
            raise InputError(
                f"sequences has shape {tuple(sequences.shape)} and type {sequences.dtype}; expected (n, t, c) floating-point "
                f"numbers with t at least 2"
            )
        return self.on_chosen(sequences, self._warped)

    def _warped(self, sequences: Tensor) -> Tensor:
        n, samples, _ = sequences.shape
        warp, gain = (self.draw(name, n, 1, samples, sequences.device) for name in self.strengths)
        rows = sequences.transpose(1, 2)[:, :, None]  # (n, c, 1, t)
        if warp is not None:
            # In halves of the length, along the row and not across it.
            shift = 2 * warp * warp.new_tensor([1.0, 0.0]).view(1, 2, 1, 1)
            rows = warp_images(rows, affine_source((1, samples), translation=shift), padding_mode="border")
        if gain is not None:
            rows = rows * gain.exp()
        return rows[:, :, 0].transpose(1, 2).to(sequences.dtype)
