"""Batch statistics without counting the batch: for a second pass over the same examples."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm


@contextmanager
def disable_running_stats(model: nn.Module) -> Iterator[None]:
    """Keep the running statistics of the normalisation layers as they are while the model runs in training mode.

    Layers in training mode still normalise with the statistics of the batch; layers in evaluation mode are untouched.
    Methods that run a batch twice in one step (SAM, TRAM) use it in the second pass, so that the statistics, and the count
    of batches, move once per step.

    >>> import torch
    >>> layer = nn.BatchNorm1d(1)
    >>> with disable_running_stats(layer):
    ...     _ = layer(torch.tensor([[0.0], [8.0]]))
    >>> layer.running_mean, int(layer.num_batches_tracked)
    (tensor([0.]), 0)
    """
    tracking = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    # Batch normalisation also counts its batches, which a momentum of 0 would not stop; instance normalisation does not
    # count them, and goes by its momentum alone.
    moving = {m: m.momentum for m in model.modules() if isinstance(m, _InstanceNorm) and m.training}
    for layer in tracking:
        layer.track_running_stats = False
    for layer in moving:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer in tracking:
            layer.track_running_stats = True
        for layer, momentum in moving.items():
            layer.momentum = momentum
