"""The one shape of a model here: an encoder that makes features, and a head that reads classes from them."""

from torch import Tensor, nn


class Classifier(nn.Module):
    """Encoder and head: ``forward(x) = head(features(x))``.

    Methods that work on the representation (CORAL, DANN, ...) call ``features`` and ``head`` apart; whoever has another
    kind of module is served by `farfield.nn.features_and_logits`.

    **Arguments:**
    - ``encoder``: inputs -> features ``(n, width)``.
    - ``head``: features -> logits ``(n, classes)``.
    - ``learning_rate``: a good first learning rate for AdamW; methods start from it.
    - ``pretrained``: the encoder comes with trained weights; methods that keep it as it is ask for that.

    >>> import torch
    >>> model = Classifier(nn.Flatten(), nn.Linear(4, 3))
    >>> model(torch.zeros(2, 1, 2, 2)).shape
    torch.Size([2, 3])
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, *, learning_rate: float = 1e-3, pretrained: bool = False):
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.learning_rate, self.pretrained = learning_rate, pretrained

    def features(self, x: Tensor) -> Tensor:
        """Return the features ``(n, width)`` that the head reads.

        >>> import torch
        >>> Classifier(nn.Flatten(), nn.Linear(4, 3)).features(torch.zeros(2, 1, 2, 2)).shape
        torch.Size([2, 4])
        """
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
