"""How many attributes a network needs to recognise a concept: accuracy with the first K channels only, and the least K."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array, like, same_rows, tensor
from farfield.measure.representativeness import concept_numbers

RULES = ("threshold", "area")
# Numbers held at a time: images x channels x classes.
AT_ONCE = 2**23
# The grid over which the published plot pools the area: from, to and step.
REJECTS = tuple(np.arange(-0.6, -0.205, 1 / 200).round(3).tolist())
CONVERGES = tuple(np.arange(0.02, 0.195, 1 / 200).round(3).tolist())


@torch.no_grad()
def description_curve(
    activations: Array,
    concepts: Array,
    head: nn.Linear | Float[Array, "c d"],
    order: Float[Array, "c d"],
    *,
    bias: Float[Array, " c"] | None = None,
) -> Float[Array, "c d"]:
    """Return the accuracy on each concept's images with its first 1, 2, ..., d channels only, by the unchanged head.

    The channels of concept c with the highest ``order[c]`` come first, the others are set to 0 before the average pooling. Column
    d - 1 is the accuracy with all of them. One cumulative sum over the channels gives all K at once. Order and accuracy
    should come from different images: an order that was found on the same ones looks better than it is.

    **Arguments:**
    - ``activations``: (n, d, height, width) feature maps, or (n, d) averaged over positions.
    - ``concepts``: (n,) integers, the class of each image, every class of the head at least once.
    - ``head``: the linear layer from averaged features to the classes, or its weights (c, d) with its ``bias`` (none: 0).
    - ``order``: (c, d), such as `representativeness`; equal values keep the order of the channels.

    Raises InputError on shapes that do not fit together and a class without an image.

    Source: Shi et al., ICML 2023, released code (``k_cplx_AR``).

    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])  # the third channel is on for both
    >>> head = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.1]])
    >>> description_curve(x, [0, 1], head, np.array([[3, 1, 2], [1, 3, 2]])).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    x = tensor(activations, "activations", dims=None, dtype=None)
    if x.ndim not in (2, 4):
        raise InputError(f"activations has shape {tuple(x.shape)}; expected (n, d) or (n, d, height, width)")
    features = (x if x.ndim == 2 else x.mean((2, 3))).double()  # (n, d)
    weights, offset = _head(head, bias, features.device)
    ranks = tensor(order, "order").to(features.device)
    if weights.shape != ranks.shape or weights.shape[1] != features.shape[1]:
        raise InputError(
            f"head has shape {tuple(weights.shape)}, order {tuple(ranks.shape)} and activations {features.shape[1]} channels; "
            "expected (c, d), (c, d) and d"
        )
    classes, d = weights.shape
    labels = concept_numbers(concepts, classes).to(features.device)
    same_rows(activations=features, concepts=labels)
    images = labels.bincount(minlength=classes)
    if not images.all():
        raise InputError(f"concepts has no image of class {int((images == 0).nonzero()[0])}, of {classes} in the head")
    first = ranks.argsort(dim=1, descending=True, stable=True)  # (c, d)
    right = torch.zeros(classes, d, dtype=torch.float64, device=features.device)
    for rows in torch.arange(len(features), device=features.device).split(max(1, AT_ONCE // (classes * d))):
        mine = first[labels[rows]]  # (m, d)
        # Contribution of each channel to each logit, in the concept's own order: (m, d, c).
        parts = features[rows].gather(1, mine)[:, :, None] * weights.T[mine]
        answers = (parts.cumsum(1) + offset).argmax(2)
        right.index_add_(0, labels[rows], (answers == labels[rows, None]).double())
    return like(right / images[:, None], activations)


def subjective_complexity(
    curve: Float[Array, "c d"],
    full: Float[Array, " c"] | None = None,
    rule: Literal["threshold", "area"] = "threshold",
    t: float = 0.9,
    *,
    relative: bool = False,
    converge: float = -np.inf,
    reject: float = -np.inf,
    least: float = 0.0,
) -> Float[Array, " c"]:
    """Return the length of the description that a network needs of each concept.

    - "threshold": the least K with an accuracy of at least ``t``; d - 1 where none reaches it.
    - "area": the accuracy lost, ``full - curve``, summed over K = 1 .. d - 1. It mixes length with accuracy: a concept that is
      never recognised loses little and looks simple, so give ``least``.

    NaN stands for a concept that is left out (``least`` or ``reject``).

    **Arguments:**
    - ``curve``: from `description_curve`; ``full``: (c,) accuracy with all channels, the curve's last column where not given.
    - ``t``: above 0 and at most 1; ``relative``: as a share of ``full``.
    - ``converge``: losses below it count as 0, so 0 forgets gains; ``reject``: concepts with a loss below it, a negative number, are left out. Both
      of "area".
    - ``least``: concepts with a full accuracy below it are left out, such as twice chance.

    Raises InputError on an accuracy outside [0, 1], another rule or a number out of range.

    Source: Shi et al., ICML 2023, released code (``cal_k_cplx``). ``relative`` and ``least`` are ours.

    >>> import numpy as np
    >>> curve = np.array([[0.5, 0.95, 1.0], [0.2, 0.3, 0.8]])
    >>> subjective_complexity(curve).tolist(), subjective_complexity(curve, rule="area").round(2).tolist()
    ([2.0, 2.0], [0.55, 1.1])
    """
    x, whole = _curve(curve, full)
    if rule not in RULES:
        raise unknown_name("rule", rule, RULES)
    if not 0 < t <= 1:
        raise InputError(f"t is {t}; it must be above 0 and at most 1")
    if rule == "threshold":
        reached = x >= (t * whole[:, None] if relative else t)
        d = x.shape[1]
        found = torch.where(reached.any(1), reached.int().argmax(1) + 1, max(d - 1, 1)).double()
        left_out = torch.zeros_like(whole, dtype=torch.bool)
    else:
        found, left_out = _area(x, whole, converge, reject)
    return like(torch.where(left_out | (whole < least), torch.nan, found), curve)


def pooled_complexity(
    curve: Float[Array, "c d"],
    full: Float[Array, " c"] | None = None,
    *,
    rejects: tuple[float, ...] = REJECTS,
    converges: tuple[float, ...] = CONVERGES,
) -> Float[Array, "r s"]:
    """Return the natural logarithm of a data set's mean "area" complexity, for each pair of ``reject`` and ``converge``.

    NaN where a pair leaves no concept, -inf where none of those left loses anything.

    **Arguments:** ``curve``, ``full``: as in `subjective_complexity`; ``rejects``, ``converges``: the published plot's grids where not given.

    Raises InputError on an accuracy outside [0, 1].

    Source: Shi et al., ICML 2023, released code (``res_proc``, ``viz_k_cplx``), which pools the whole grid.

    >>> import numpy as np
    >>> pooled_complexity(np.array([[0.5, 0.75, 1.0]]), rejects=(-0.3,), converges=(0.1, 0.3)).round(3).tolist()
    [[-0.288, -0.693]]
    """
    x, whole = _curve(curve, full)
    rows = []
    for reject in rejects:
        pairs = [_area(x, whole, converge, reject) for converge in converges]
        rows.append(torch.stack([area[~left_out].mean() for area, left_out in pairs]).log())
    return like(torch.stack(rows), curve)


def _area(x: Tensor, whole: Tensor, converge: float, reject: float) -> tuple[Tensor, Tensor]:
    lost = whole[:, None] - x[:, :-1]
    return torch.where(lost < converge, 0.0, lost).sum(1), (lost < reject).any(1)


def _curve(curve: Array, full: Array | None) -> tuple[Tensor, Tensor]:
    x = tensor(curve, "curve")
    whole = x[:, -1] if full is None else tensor(full, "full", dims=1).to(x.device)
    same_rows(curve=x, full=whole)
    for name, values in {"curve": x, "full": whole}.items():
        if float(values.min()) < 0 or float(values.max()) > 1:
            raise InputError(f"{name} has values from {values.min():g} to {values.max():g}; accuracies lie in [0, 1]")
    return x, whole


def _head(head: nn.Linear | Array, bias: Array | None, device: torch.device) -> tuple[Tensor, Tensor]:
    if isinstance(head, nn.Linear):
        if bias is not None:
            raise InputError(
                "bias came beside a linear layer, which has its own; give it with an array of weights only"
            )
        head, bias = head.weight, head.bias
    weights = tensor(head, "head").to(device)
    offset = torch.zeros(len(weights)) if bias is None else tensor(bias, "bias", dims=1)
    same_rows(head=weights, bias=offset)
    return weights, offset.to(device)
