"""Contrastive learning in a subspace of each pair's own: features are gated before they are compared."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError


class GatedInfoNCE(nn.Module):
    """Mean cross-entropy, in nats, of finding each row's partner among all partners, by cosine in the pair's own subspace.

    With the gate G_i of pair i: ``s_ij = cos(z1_i * G_i, z2_j * G_i) / t``, ``L_i = -log exp(s_ii) / sum_j
    exp(s_ij)``. Every candidate j is gated by G_i, never by a gate of its own. The loss does not change where a gate
    is multiplied by a constant.

    **Arguments:**
    - ``temperature``: t, above 0.
    - ``mask_shared``: leave out candidates j other than i whose label is one of pair i's two: they belong to it as
      well. With few classes that is much of a batch, and chance falls with it: `logits` shows how many are left.
    - ``symmetric``: mean of both directions; without it, partners are looked for among the second members only.
    - ``eps``: least length of a gated row; shorter ones are divided by this, so that a gate that shuts all has no
      exploding gradient.

    Raises InputError on a temperature or eps that is not above 0.

    Only (n, n) matrices are made: ``z1_i * G_i . z2_j * G_i = (z1 * G^2) z2^T`` and ``|z2_j * G_i|^2 = G^2 (z2^2)^T``.

    Source: Wu et al., "Rethinking Positive Pairs in Contrastive Learning", 2024. No code is published; the masking
    and the default temperature are our reading.

    >>> z, y = torch.eye(3), torch.arange(3)
    >>> GatedInfoNCE(temperature=0.5)(z, z, torch.ones(3, 3), y, y)  # log(1 + 2 exp(-2))
    tensor(0.2395)
    """

    def __init__(
        self, temperature: float = 0.1, mask_shared: bool = True, symmetric: bool = True, *, eps: float = 1e-8
    ):
        super().__init__()
        if not temperature > 0 or not eps > 0:
            raise InputError(f"temperature is {temperature} and eps {eps}; both must be above 0")
        self.temperature, self.mask_shared, self.symmetric, self.eps = temperature, mask_shared, symmetric, eps

    def forward(
        self,
        z1: Float[Tensor, "n d"],
        z2: Float[Tensor, "n d"],
        gates: Float[Tensor, "n d"],
        y1: Int[Tensor, " n"] | None = None,
        y2: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch, computed in at least float32; arguments as in `logits`."""
        rows = torch.arange(len(z1), device=z1.device)
        loss = nn.functional.cross_entropy(self.logits(z1, z2, gates, y1, y2), rows)
        if not self.symmetric:
            return loss
        return (loss + nn.functional.cross_entropy(self.logits(z2, z1, gates, y2, y1), rows)) / 2

    def logits(
        self,
        z1: Float[Tensor, "n d"],
        z2: Float[Tensor, "n d"],
        gates: Float[Tensor, "n d"],
        y1: Int[Tensor, " n"] | None = None,
        y2: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n n"]:
        """Return s, minus infinity at candidates that are left out: of row i the partner is on the diagonal.

        **Arguments:** ``z1``, ``z2``: first and second members of n pairs; ``gates``: one row for each pair, 0 or
        more; ``y1``, ``y2``: their labels, needed with ``mask_shared`` only.

        Raises InputError on shapes that do not match and on absent labels.

        >>> z, y = torch.eye(3), torch.tensor([0, 1, 1])
        >>> GatedInfoNCE(temperature=1.0).logits(z, z, torch.ones(3, 3), y, y).isfinite().sum(1)
        tensor([3, 2, 2])
        """
        if z1.ndim != 2 or not len(z1) or z2.shape != z1.shape or gates.shape != z1.shape:
            shapes = ", ".join(str(tuple(t.shape)) for t in (z1, z2, gates))
            raise InputError(f"z1, z2 and gates have shapes {shapes}; expected (n, d) three times, n at least 1")
        if self.mask_shared and (y1 is None or y2 is None or y1.shape != z1.shape[:1] or y2.shape != z1.shape[:1]):
            shapes = ", ".join("None" if y is None else str(tuple(y.shape)) for y in (y1, y2))
            raise InputError(f"y1 and y2 are {shapes}; mask_shared needs the label of each of the {len(z1)} rows")
        with torch.autocast(z1.device.type, enabled=False):
            z1, z2, gates = (t.float() if t.dtype.itemsize < 4 else t for t in (z1, z2, gates))
            squared = gates.square()
            # The floor is under the root, whose slope at 0 has no end.
            own = (squared * z1.square()).sum(1, keepdim=True).clamp_min(self.eps**2).sqrt()
            others = (squared @ z2.square().T).clamp_min(self.eps**2).sqrt()
            found = (z1 * squared) @ z2.T / (own * others * self.temperature)
        if self.mask_shared:
            shared = (y2 == y1[:, None]) | (y2 == y2[:, None])
            found = found.masked_fill(shared.fill_diagonal_(False), -torch.inf)
        return found


def gate_binary_penalty(gates: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Return ``mean(G (1 - G))``, which pushes gates to 0 or 1: 0 where all are there, at most 1/4, where all are 1/2.

    **Arguments:** ``gates``: of any shape, in [0, 1].

    Raises InputError on an empty tensor and on a gate outside [0, 1].

    Source: the later versions of Wu et al., 2024 (SimLAP), which push gates to be binary; this form is ours.

    >>> gate_binary_penalty(torch.tensor([0.5, 0.5])), gate_binary_penalty(torch.tensor([0.0, 1.0]))
    (tensor(0.2500), tensor(0.))
    """
    if not gates.numel():
        raise InputError(f"gates has shape {tuple(gates.shape)}; expected at least one gate")
    low, high = (float(v) for v in gates.detach().aminmax())
    if not (low >= 0 and high <= 1):
        raise InputError(f"gates are from {low:g} to {high:g}; expected values in [0, 1]")
    return (gates * (1 - gates)).mean()
