"""What recipes share that train new parts beside a pretrained encoder."""

from torch import nn

# What suits a small network or a head with AdamW.
NEW = 1e-3


def new_rate(model: nn.Module, rate: float) -> float:
    """Return the learning rate of new parts, such as a head, where the model is trained with ``rate``.

    A pretrained model has a rate of its own, far below that of new parts; both are scaled alike, so
    that one number sets them.

    >>> model = nn.Linear(1, 1)
    >>> model.learning_rate = 5e-5
    >>> new_rate(model, 1e-4)
    0.002
    """
    return rate * NEW / getattr(model, "learning_rate", NEW)
