"""Adapters to shorter vectors whose prefixes are shorter vectors too: learned, or principal components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from farfield.errors import InputError
from farfield.losses.info_nce import InfoNCE
from farfield.losses.matryoshka import MatryoshkaCrossEntropy, MatryoshkaLoss
from farfield.measure._arrays import Array, same_rows, tensor
from farfield.nn.matryoshka import MatryoshkaLinear, check_sizes
from farfield.reuse.adapter import Adapter
from farfield.reuse.column_profile import ColumnProfile
from farfield.tasks.task import Table
from farfield.train import Hook, train

TEMPERATURE = 0.05


def pca_adapter(x: Float[Array, "n d"], dims: Sequence[int], *, centre: bool = False) -> Adapter:
    """Return the adapter onto the leading principal components of rows of length 1, the largest first.

    Without centring (the default) they are those of the second moments, which keep inner products of rows of length 1,
    and so
    cosines, best of all linear maps; all d of them keep every cosine.

    **Arguments:** ``x``: rows that have a direction; ``dims``: sizes, each up to d and n; ``centre``: subtract the mean
    first.

    Raises InputError on sizes that do not fit.

    >>> import numpy as np
    >>> x = np.array([[3.0, 0.0], [4.0, 0.0], [0.0, 1.0]])
    >>> pca_adapter(x, [1])(x).round(6).tolist()
    [[1.0], [1.0], [0.0]]
    """
    rows = F.normalize(tensor(x, "x", dtype=None), dim=1)
    sizes = sorted(check_sizes(dims, "dims", most=min(rows.shape)))
    mean = rows.mean(0) if centre else rows.new_zeros(rows.shape[1])
    moments = (rows - mean).T.double() @ (rows - mean).double()
    _, vectors = torch.linalg.eigh(moments)
    weight = vectors.flip(1)[:, : sizes[-1]].T
    # A sign of each direction that does not hang on the library: rows lie mostly on its positive side.
    weight = weight * torch.where(weight @ rows.double().sum(0) < 0, -1.0, 1.0)[:, None]
    return _adapter(weight, -(weight @ mean.double()), sizes, tensor(x, "x", dtype=None), method="pca")


def matryoshka_adapter(
    x: Float[Array, "n d"],
    dims: Sequence[int],
    *,
    labels: Int[Array, " n"] | None = None,
    pairs: Int[Array, "p 2"] | None = None,
    steps: int = 600,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
    hooks: Sequence[Hook] = (),
) -> Adapter:
    """Learn an affine map of frozen embeddings, every prefix of which is trained to be enough by itself.

    It starts from the principal components (`pca_adapter`). What it learns by, at every size of ``dims`` at once:

    - ``labels``: a linear classifier of each prefix (`farfield.losses.MatryoshkaCrossEntropy`).
    - ``pairs``: each row's partner is told from those of other pairs (`farfield.losses.InfoNCE`).
    - neither: the distribution of a row's similarities to the others of the batch, softmax(cosine / 0.05), is to be
      that of the
      full vectors (cross-entropy), so that neighbours stay neighbours.

    **Arguments:** ``x``: rows that have a direction; rows are brought to length 1 first; ``labels``: class indices from
    0; ``pairs``:
    row numbers; ``steps`` of AdamW with a cosine schedule, ``batch_size`` rows or pairs each; ``hooks``: as
    `farfield.train.train`,
    with a model that has the layer ``map``.

    Raises InputError on sizes, labels or pairs that do not fit, and where both are given.

    Source: Kusupati et al., NeurIPS 2022, section 3, over frozen embeddings.

    >>> x = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    >>> adapter = matryoshka_adapter(x, [2, 4], steps=5)
    >>> adapter(x).shape, adapter.dims
    (torch.Size([60, 4]), (2, 4))
    """
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1")
    raw = tensor(x, "x", rows=2, dtype=None)
    rows = F.normalize(raw.float(), dim=1)
    start = pca_adapter(raw, dims)
    if labels is not None and pairs is not None:
        raise InputError("labels and pairs were both given; an adapter learns by one of them")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, data, loss = _problem(rows, start, labels, pairs)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    slow: list[Hook] = [lambda step, model, value: schedule.step()]
    train(model, data, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=[*slow, *hooks])
    weight, bias = model.map.weight.detach(), model.map.bias.detach()
    return _adapter(weight, bias, start.dims, raw, method="learned")


def _problem(
    rows: Tensor, start: Adapter, labels: Array | None, pairs: Array | None
) -> tuple[nn.ModuleDict, Table, Callable[[Any, dict[str, Tensor]], Tensor]]:
    """Return the model, its data and its loss."""
    linear = nn.Linear(rows.shape[1], start.dims[-1])
    with torch.no_grad():
        linear.weight.copy_(start.weight)
        linear.bias.copy_(start.bias)
    model = nn.ModuleDict({"map": linear})
    if labels is not None:
        y = tensor(labels, "labels", dims=1, dtype=torch.int64)
        same_rows(x=rows, labels=y)
        if y.min() < 0 or y.max() < 1:
            raise InputError(
                f"labels go from {y.min()} to {y.max()}; expected class indices from 0 of at least 2 classes"
            )
        model["head"] = MatryoshkaLinear(start.dims, int(y.max()) + 1)
        # Rows of length 1 have values of about 1 / sqrt(d): what a classifier reads should be of the size of 1.
        scale = rows.shape[1] ** 0.5
        nested = MatryoshkaCrossEntropy()
        return model, Table(x=rows, y=y), lambda m, b: nested(m["head"](scale * m["map"](b["x"])), b["y"])
    if pairs is not None:
        joined = tensor(pairs, "pairs", dtype=torch.int64)
        if joined.shape[1] != 2 or joined.min() < 0 or joined.max() >= len(rows):
            raise InputError(
                f"pairs has shape {tuple(joined.shape)}; expected row numbers (p, 2) from 0 to {len(rows) - 1}"
            )
        contrast = MatryoshkaLoss(InfoNCE(temperature=TEMPERATURE), start.dims)
        table = Table(x=rows[joined[:, 0]], other=rows[joined[:, 1]])
        return model, table, lambda m, b: contrast(m["map"](b["x"]), m["map"](b["other"]))
    return model, Table(x=rows), lambda m, b: neighbour_loss(m["map"](b["x"]), b["x"], start.dims)


def neighbour_loss(y: Float[Tensor, "n m"], x: Float[Tensor, "n d"], dims: Sequence[int]) -> Float[Tensor, ""]:
    """Return the mean divergence, in nats, of who is near whom by prefixes of y from who is by x; 0 where they agree.

    ``mean_i KL(p_i || q_i)`` with ``p_i = softmax_j(cos(x_i, x_j) / 0.05)``, j other than i, and q_i by a prefix;
    summed over ``dims``.

    >>> x = torch.eye(3)
    >>> neighbour_loss(2 * x, x, [3])
    tensor(0.)
    """
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    near = _similarities(x).masked_fill(own, -torch.inf)
    target, known = near.softmax(1), near.log_softmax(1).masked_fill(own, 0.0)
    total = y.new_zeros(())
    for m in dims:
        found = _similarities(y[:, :m]).masked_fill(own, -torch.inf).log_softmax(1).masked_fill(own, 0.0)
        total = total + (target * (known - found)).sum(1).mean()
    return total


def _similarities(x: Tensor) -> Tensor:
    units = F.normalize(x, dim=1)
    return units @ units.T / TEMPERATURE


def _adapter(weight: Tensor, bias: Tensor, dims: Sequence[int], x: Tensor, *, method: str) -> Adapter:
    return Adapter(
        weight,
        bias,
        tuple(dims),
        unit_inputs=True,
        unit_outputs=True,
        kind="shrink",
        profile=ColumnProfile.of(x) if len(x) > 1 else None,
        notes={"method": method},
    )
