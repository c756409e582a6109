"""From a layer's output to rows of features: the named ways to pool tokens, patches and feature maps."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name

Pool = str | Callable[[Tensor, Tensor | None], Tensor]


def pooled(output: Tensor, mask: Tensor | None, pool: Pool, name: str) -> Tensor:
    """Return rows (m, d) of an output whose first axis is the example; m is n, except for "space".

    **Arguments:** ``mask``: (n, t), true at tokens that count; None: all do. ``pool``: see `farfield.measure.activations`.

    >>> pooled(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]), "mean", "block").tolist()
    [[2.0]]
    """
    if callable(pool):
        rows = pool(output, mask)
        if not isinstance(rows, Tensor) or rows.ndim != 2:
            raise InputError(
                f"pool must return rows (n, d) of the layer {name!r}; it returned "
                f"{tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__}"
            )
        return rows
    if output.ndim < 2:
        return output.reshape(-1, 1)
    if output.ndim == 2 or pool == "flatten":
        return output.flatten(1)
    # (n, t, d): a sequence has its features last, an image or a volume has its channels second.
    positions = output if output.ndim == 3 else output.flatten(2).transpose(1, 2)
    if mask is None or mask.shape != positions.shape[:2]:
        mask = torch.ones(positions.shape[:2], dtype=torch.bool, device=positions.device)
    return POOLS[pool](positions, mask.to(device=positions.device, dtype=torch.bool))


def _mean(positions: Tensor, mask: Tensor) -> Tensor:
    weights = mask[:, :, None].to(positions.dtype)
    # An example without any token gives zeros.
    return (positions * weights).sum(1) / weights.sum(1).clamp(min=1)


def _max(positions: Tensor, mask: Tensor) -> Tensor:
    largest = positions.masked_fill(~mask[:, :, None], -torch.inf).amax(1)
    return torch.where(mask.any(1, keepdim=True), largest, torch.zeros_like(largest))


def _cls(positions: Tensor, mask: Tensor) -> Tensor:
    return positions[:, 0]


def _last(positions: Tensor, mask: Tensor) -> Tensor:
    # The last position that counts, whichever side the padding is on.
    at = (mask.long() * torch.arange(mask.shape[1], device=mask.device)).argmax(1)
    return positions[torch.arange(len(positions), device=mask.device), at]


def _space(positions: Tensor, mask: Tensor) -> Tensor:
    return positions[mask]


POOLS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "max": _max,
    "cls": _cls,
    "last": _last,
    "space": _space,
}


def check_pool(pool: Any) -> None:
    """Refuse a way of pooling that does not exist. Raises InputError with the nearest known ones.

    >>> check_pool("men")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown pool 'men'; nearest: mean
    """
    if not callable(pool) and pool not in (*POOLS, "flatten"):
        raise unknown_name("pool", str(pool), [*POOLS, "flatten"])
