"""How the codes of one network look to another: as they are, normalised, rotated, or relative to anchors."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import layer_norm

from farfield.nn.relative import RelativeProjection
from farfield.reuse.stitching import orthogonal_map

Space = Literal["absolute", "layernorm", "relative", "centered", "procrustes", "shuffled"]
SPACES: tuple[Space, ...] = ("absolute", "layernorm", "relative", "centered", "procrustes", "shuffled")


def home(space: Space) -> Space:
    """Return the space that a network is trained in whose codes are read in this one.

    >>> home("procrustes"), home("shuffled"), home("layernorm")
    ('absolute', 'relative', 'layernorm')
    """
    return {"procrustes": "absolute", "shuffled": "relative"}.get(space, space)


def view(
    space: Space,
    codes: Float[Tensor, "n d"],
    anchors: Float[Tensor, "k d"],
    others: Float[Tensor, "k d"],
    *,
    seed: int = 0,
) -> Float[Tensor, "n m"]:
    """Return codes as another network is given them.

    - "absolute": as they are; "layernorm": each code standardised.
    - "relative": cosines to the anchors; "centered": the same with the anchors' mean subtracted.
    - "procrustes": rotated so that the anchors come nearest to ``others``.
    - "shuffled": relative to the anchors in a random order (by ``seed``), so that nothing should be left.

    **Arguments:** ``anchors``, ``others``: the codes of the same anchors by the network itself and by the other.

    >>> x = torch.eye(3)[:, :2]
    >>> view("centered", x, x, x).shape, torch.equal(view("absolute", x, x, x), x)
    (torch.Size([3, 3]), True)
    """
    if space == "absolute":
        return codes
    if space == "layernorm":
        return layer_norm(codes, codes.shape[1:])
    if space == "procrustes":
        return codes @ orthogonal_map(anchors, others)
    if space == "shuffled":
        anchors = anchors[torch.randperm(len(anchors), generator=torch.Generator().manual_seed(seed))]
    return RelativeProjection(center=space == "centered")(codes, anchors)
