"""Input standardisation as a layer, so that a saved model carries the statistics it was trained with."""

import torch
from torch import Tensor, nn

from farfield.tasks.task import Split


class Standardize(nn.Module):
    """Subtract the mean and divide by the standard deviation of each channel.

    **Arguments:** ``mean``, ``std``: (channels,); a channel that never varies (std 0) is only centred. Both are buffers:
    part of the state dict, never trained.

    >>> layer = Standardize(torch.tensor([0.5]), torch.tensor([0.25]))
    >>> layer(torch.ones(1, 1, 1, 2))
    tensor([[[[2., 2.]]]])
    """

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean.float().clone())
        self.register_buffer("std", torch.where(std > 0, std, 1.0).float())

    @classmethod
    def fit(cls, split: Split, *, batch_size: int = 1024) -> "Standardize":
        """Return the layer with the mean and population standard deviation of all pixels of a split's images.

        **Arguments:** ``split[indices]["x"]`` are images (n, channels, height, width).

        >>> from farfield.tasks import Table
        >>> Standardize.fit(Table(x=torch.tensor([0.0, 2.0]).reshape(2, 1, 1, 1))).mean
        tensor([1.])
        """
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for start in range(0, len(split), batch_size):
            x = split[torch.arange(start, min(start + batch_size, len(split)))]["x"].cpu().double()  # (n, c, h, w)
            count += x.numel() // x.shape[1]
            total = total + x.sum((0, 2, 3))  # (c,)
            squares = squares + x.square().sum((0, 2, 3))  # (c,)
        mean = total / count
        variance = squares / count - mean.square()
        # What rounding leaves of a constant channel is no variation.
        variance = torch.where(variance > 1e-12 * squares / count, variance, 0.0)
        return cls(mean, variance.sqrt())

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean[:, None, None]) / self.std[:, None, None]  # (n, c, h, w)
