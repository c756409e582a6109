"""From the coherence of mini-batch gradients to that of single examples, and back."""

import math

from farfield.errors import InputError


def coherence_from_batches(alpha: float, batch_size: int) -> float:
    """Return the alpha of single examples from that of gradients of mini-batches.

    ``alpha_W / (k - (k - 1) alpha_W)`` for means of k examples, drawn independently (Chatterjee and Zielinski, 2020). It is how
    alpha is had where gradients of single examples cost too much: k is the size of the batches, not how many there are, and all
    are taken at the same parameters.

    **Arguments:** ``alpha``: of the batches' gradients, from 0 to 1, such as `coherence_from_gradients` gives;
    ``batch_size``: k, at least 1.

    Raises InputError on an argument out of its range.

    >>> round(coherence_from_batches(1 / 3, 2), 4)
    0.2
    """
    _check(alpha, batch_size)
    return alpha / (batch_size - (batch_size - 1) * alpha)


def coherence_of_batches(alpha: float, batch_size: int) -> float:
    """Return the alpha that gradients of mini-batches have where single examples have this one: ``k a / (1 + (k - 1) a)``.

    **Arguments:** ``alpha``: of single examples, from 0 to 1; ``batch_size``: k examples in a batch, drawn independently.

    Raises InputError on an argument out of its range.

    >>> round(coherence_of_batches(0.2, 2), 4)
    0.3333
    """
    _check(alpha, batch_size)
    return batch_size * alpha / (1 + (batch_size - 1) * alpha)


def _check(alpha: float, batch_size: int) -> None:
    if not (math.isfinite(alpha) and 0 <= alpha <= 1):
        raise InputError(f"alpha is {alpha}; it must be from 0 to 1")
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
