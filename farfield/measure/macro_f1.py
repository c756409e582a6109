"""How well classes are told apart where some are rare."""

import torch
from jaxtyping import Int

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor


def macro_f1(y: Int[Array, "n"], predicted: Int[Array, "n"]) -> float:
    """Return the F1 score of each class, averaged with equal weights over the classes that come up, 0 to 1.

    F1 is ``2 hits / (rows of the class + rows predicted as it)``. A class that is predicted but never true counts with 0; one that
    is neither is left out. Equals scikit-learn's ``f1_score(average="macro")``.

    **Arguments:** ``y``, ``predicted``: class indices, at least 0.

    Raises InputError where rows do not match, or a value is negative or a fraction.

    >>> import numpy as np
    >>> round(macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])), 4)  # (6/7 + 0) / 2
    0.4286
    """
    true, guess = _indices(y, "y"), _indices(predicted, "predicted")
    same_rows(y=true, predicted=guess)
    guess = guess.to(true.device)
    classes = int(torch.maximum(true.max(), guess.max())) + 1
    hits = torch.bincount(true[true == guess], minlength=classes).double()
    rows = torch.bincount(true, minlength=classes) + torch.bincount(guess, minlength=classes)
    return float((2 * hits / rows.clamp(min=1))[rows > 0].mean())


def _indices(values: Array, name: str) -> torch.Tensor:
    found = tensor(values, name, dims=1)
    if (found < 0).any() or (found != found.round()).any():
        raise InputError(f"{name} holds negative numbers or fractions; expected class indices")
    return found.long()
