"""A new embedding model for an old gallery, learned from the two models' vectors alone."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from farfield.errors import InputError
from farfield.losses.backward_compatible import BT2Loss
from farfield.measure._arrays import Array, like, same_rows, tensor
from farfield.nn.basis_transform import BasisTransformHead
from farfield.nn.evaluating import evaluating
from farfield.reuse.pseudo_classifier import pseudo_classifier
from farfield.tasks.task import Table
from farfield.train import History, train

ROWS = 65_536  # transformed at once


@dataclass(frozen=True)
class Upgrade:
    """A trained head that turns new embeddings into vectors for the old gallery and for one of their own.

    **Fields:** ``head``, whose state is plain tensors; ``history`` of its training.

    >>> rows = torch.eye(4)
    >>> upgraded = upgrade(rows[:, :2] + 1, rows, extra_dims=1, steps=1)
    >>> upgraded.transform(rows).shape, upgraded.d_old
    (torch.Size([4, 5]), 2)
    """

    head: BasisTransformHead
    history: History

    @property
    def d_old(self) -> int:
        """How many of the first coordinates meet the old gallery."""
        return self.head.d_old

    def transform(self, new_embeddings: Float[Array, "n d_new"]) -> Float[Array, "n dims"]:
        """Return vectors (n, d_new + extra_dims), float32, for a gallery of their own; the first ``d_old`` coordinates for the old one.

        Compare by inner product, the old gallery's vectors being of length 1: that ranks as the cosine does. Rows are
        brought to length 1 first, and read in blocks, for instance from a memory-mapped array.

        Raises InputError on another width, a value that is not finite, or a row of zeros.
        """
        if new_embeddings.ndim != 2 or new_embeddings.shape[1] != self.head.in_features:
            raise InputError(
                f"new_embeddings has shape {tuple(new_embeddings.shape)}; expected (n, {self.head.in_features})"
            )
        device = next(self.head.parameters()).device
        out = torch.empty(len(new_embeddings), self.head.d_new + self.head.extra_dims)
        with torch.no_grad(), evaluating(self.head):
            for start in range(0, len(out), ROWS):
                rows = _unit(new_embeddings[start : start + ROWS], "new_embeddings", first=start)
                out[start : start + ROWS] = self.head(rows.to(device)).embedding.cpu()
        return like(out, new_embeddings)


def upgrade(
    old_embeddings: Float[Array, "n d_old"],
    new_embeddings: Float[Array, "n d_new"],
    y: Int[Array, " n"] | None = None,
    extra_dims: int = 32,
    *,
    scale: float = 2.0,
    steps: int = 1000,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> Upgrade:
    """Learn to embed for a gallery of old vectors from both models' vectors of the same items: BT^2 with the head alone trained.

    The head reads the new model's vectors; the old ones are targets, and are not needed for queries. It starts with the
    new feature passed through unchanged. Training is Adam with a cosine schedule.

    **Arguments:**
    - ``old_embeddings``, ``new_embeddings``: of the same n >= 2 items, in the same order; rows are brought to length 1.
    - ``y``: identities, any integers, each of at least one row; None trains on the two cosine terms alone, which the
      paper does not do.
    - ``extra_dims``: a, dimensions more than the new model's, from 0 to d_old, and at least d_old - d_new.
    - ``scale``: C, see `farfield.nn.BasisTransformHead`; ``steps`` of ``batch_size`` rows, whose cost grows with
      dimensions^3; ``learning_rate``: peak; ``seed``: of the head's weights and the batches.

    Raises InputError where rows do not match, a row is all zeros, or a value is out of range.

    Source: Zhou et al., ICCV 2023, section 3; training on vectors only is the variant of its chain of updates.

    >>> generator = torch.Generator().manual_seed(0)
    >>> new = torch.randn(200, 8, generator=generator)
    >>> old = new @ torch.randn(8, 4, generator=generator)  # the old model sees half of it
    >>> z = upgrade(old, new, extra_dims=4, steps=300).transform(new)
    >>> bool(torch.cosine_similarity(z[:, :4], old).mean() > 0.8)
    True
    """
    old, new = _unit(old_embeddings, "old_embeddings"), _unit(new_embeddings, "new_embeddings")
    same_rows(old_embeddings=old, new_embeddings=new)
    if len(new) < 2:
        raise InputError("new_embeddings has a single row; expected at least two")
    for name, value in {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate}.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value}; it must be above 0")
    data, classifier, count = Table(phi_old=old, phi_new=new), None, None
    if y is not None:
        labels = tensor(y, "y", dims=1, dtype=torch.int64).to(new.device)
        same_rows(new_embeddings=new, y=labels)
        known, classes = labels.unique(return_inverse=True)
        count = len(known)
        data, classifier = data.replace(y=classes), pseudo_classifier(old, classes, count)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = BasisTransformHead(new.shape[1], new.shape[1], old.shape[1], count, extra_dims, scale)
    _pass_through(head)
    head, objective = head.to(new.device), BT2Loss(classifier).to(new.device)

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return objective(model(batch["phi_new"]), batch.get("y"), batch["phi_old"], batch["phi_new"])[0]

    optimizer = torch.optim.Adam(head.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    hooks = [lambda *_: schedule.step()]
    history = train(head, data, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
    return Upgrade(head.eval().requires_grad_(False), history)


@torch.no_grad()
def _pass_through(head: BasisTransformHead) -> None:
    """Start from f = the input, which is what f is to become."""
    assert isinstance(head.project, nn.Linear)
    head.project.weight[: head.d_new].copy_(torch.eye(head.d_new))
    head.project.bias[: head.d_new].zero_()


def _unit(values: Array, name: str, first: int = 0) -> Tensor:
    rows = tensor(values, name, dtype=torch.float32)
    norms = rows.norm(dim=1)
    if not norms.all():
        raise InputError(f"row {first + int(norms.argmin())} of {name} is all zeros; it has no direction to compare")
    return normalize(rows, dim=1)
