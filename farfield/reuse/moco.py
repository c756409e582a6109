"""A representation learned without labels, by momentum contrast."""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.losses.info_nce import InfoNCE
from farfield.nn.evaluating import evaluating
from farfield.tasks.task import Split
from farfield.train import History, to_device, train


class MoCo(nn.Module):
    """Momentum contrast around any encoder: tell the other view of an example from the keys of a queue of earlier ones.

    A call with two views is one training step's loss: ``-log exp(q k / t) / (exp(q k / t) + sum_j exp(q queue_j / t))`` with q from
    the encoder and k from its moving copy, both through a projection of two layers and of length 1. In training mode the copy follows first,
    ``key <- m key + (1 - m) encoder``, and the batch's keys then take the place of the oldest in the queue.

    **Arguments:**
    - ``encoder``: a module from inputs to features ``(n, width)``; it is trained itself, not a copy.
    - ``width``: of its features; ``dim``: of the projection.
    - ``queue``: keys that are kept, at least 1. ``momentum``: m in [0, 1]. ``temperature``: t, above 0.
    - ``seed``: of the projection and of the random keys that the queue starts with.

    Raises InputError on an argument out of range.

    Source: He et al., CVPR 2020, Algorithm 1, with the projection of Chen et al., 2020 (MoCo v2). Differs from it in: batches are not
    shuffled between devices, so BatchNorm in the encoder can give positives away.

    >>> moco = MoCo(nn.Linear(3, 8), 8, dim=4, queue=16)
    >>> x = torch.rand(6, 3)
    >>> moco(x, x).backward()
    >>> moco.oldest.item(), moco.encoder.weight.grad is not None
    (6, True)
    """

    queue: Float[Tensor, "m dim"]
    oldest: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        *,
        dim: int = 64,
        queue: int = 4096,
        momentum: float = 0.999,
        temperature: float = 0.2,
        seed: int = 0,
    ):
        super().__init__()
        if width < 1 or dim < 1 or queue < 1 or not 0 <= momentum <= 1:
            raise InputError(
                f"width is {width}, dim {dim}, queue {queue} and momentum {momentum}; expected at least 1 of the first three, and "
                "momentum between 0 and 1"
            )
        self.loss, self.momentum = InfoNCE(temperature), momentum
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim))
            keys = nn.functional.normalize(torch.randn(queue, dim), dim=1)
        self.encoder, self.projection = encoder, projection
        self.key_encoder, self.key_projection = copy.deepcopy(encoder), copy.deepcopy(projection)
        for parameter in [*self.key_encoder.parameters(), *self.key_projection.parameters()]:
            parameter.requires_grad_(False)
        self.register_buffer("queue", keys)
        self.register_buffer("oldest", torch.zeros((), dtype=torch.long))

    def forward(self, a: Tensor, b: Tensor) -> Float[Tensor, ""]:
        """Return the loss of two views of the same examples."""
        q = self.projection(self.encoder(a))
        with torch.no_grad():
            if self.training:
                self._follow()
            k = nn.functional.normalize(self.key_projection(self.key_encoder(b)), dim=1)
        # The queue changes in place, and the gradient still needs it as it was.
        loss = self.loss(q, k, self.queue.clone())
        if self.training:
            at = (self.oldest + torch.arange(len(k), device=k.device)) % len(self.queue)
            newest = slice(-len(self.queue), None)  # of a batch longer than the queue
            self.queue[at[newest]] = k[newest].to(self.queue.dtype)
            self.oldest.copy_((self.oldest + len(k)) % len(self.queue))
        return loss

    def _follow(self) -> None:
        pairs = ((self.encoder, self.key_encoder), (self.projection, self.key_projection))
        for here, there in pairs:
            torch._foreach_lerp_([*there.parameters()], [*here.parameters()], 1 - self.momentum)


def contrast(
    encoder: nn.Module,
    data: Split,
    view: Callable[[Tensor], Tensor],
    *,
    steps: int,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    dim: int = 64,
    queue: int = 1024,
    momentum: float = 0.99,
    temperature: float = 0.2,
    seed: int = 0,
) -> History:
    """Train an encoder in place by momentum contrast, with AdamW; labels are not looked at.

    **Arguments:**
    - ``data``: a split with the inputs ``x``; ``view``: a random change of a batch of inputs, such as `farfield.augment.RandomView`.
    - ``queue``: at most so many keys; with few rows fewer, so that the queue ends before the same examples come again.
    - ``momentum``: 0.99, as a few hundred steps have no time for the 0.999 of long trainings. The others as in `MoCo`.

    A step costs about 1.4 times one of supervised training. Raises InputError on fewer than two rows, and as `MoCo` and
    `farfield.train.train`.

    >>> from farfield.augment import RandomView
    >>> from farfield.tasks import Table
    >>> history = contrast(nn.Linear(5, 8), Table(x=torch.rand(64, 5)), RandomView(), steps=3, batch_size=16)
    >>> len(history.loss)
    3
    """
    if len(data) < 2:
        raise InputError(f"data has {len(data)} rows; contrast needs at least 2")
    batch_size = min(batch_size, max(1, len(data) // 2))
    device = next(encoder.parameters()).device
    with torch.no_grad(), evaluating(encoder):
        width = encoder(to_device(data[torch.arange(2)], device)["x"]).shape[1]
    size = max(1, min(queue, len(data) - batch_size))
    moco = MoCo(encoder, width, dim=dim, queue=size, momentum=momentum, temperature=temperature, seed=seed).to(device)
    learned = [p for p in moco.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        learned, lr=learning_rate, weight_decay=weight_decay, fused=device.type in ("cpu", "cuda")
    )

    def loss(model: nn.Module, batch: dict) -> Tensor:
        return model(view(batch["x"]), view(batch["x"]))

    return train(moco, data, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed)
