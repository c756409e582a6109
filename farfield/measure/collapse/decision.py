"""NC4: whether the linear classifier decides as the nearest class mean does."""

from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor
from farfield.measure.collapse._classes import centred
from farfield.measure.collapse.duality import matching

# Numbers of a (rows, K) table of scores held at a time.
_SCORES = 1 << 23


def ncc_agreement(
    features: Float[Array, "n d"],
    weight: Float[Array, "K d"],
    means: Float[Array, "K d"],
    bias: Float[Array, "K"] | None = None,
) -> float:
    """Return on which share of the examples the classifier and the nearest class mean choose the same class, 0 to 1.

    It says nothing of whether they are right. On the data that made the means it is inflated: use held-out features. Two
    unrelated rules over K classes agree on about 1 / K. Ties go to the first class. Time n K d, memory bounded.

    **Arguments:** ``weight``, ``means``, ``bias``: of the same K classes, at least 2, in one order; ``bias`` of the classifier, where
    it has one.

    Raises InputError on shapes that do not match.

    Source: Papyan et al., PNAS 2020 (NC4); Wu & Papyan, NeurIPS 2024

    >>> import torch
    >>> means = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> ncc_agreement(torch.tensor([[0.9, 0.2], [0.1, 0.8]]), means, means)
    1.0
    """
    x = tensor(features, "features")
    decisions = Decisions(weight, means, bias)
    if x.shape[1] != decisions.dim:
        raise InputError(f"features has {x.shape[1]} dimensions but means has {decisions.dim}")
    return decisions.agree(x) / len(x)


class Decisions:
    """Both rules with their constants computed once, for features that come in batches."""

    def __init__(self, weight: Array, means: Array, bias: Array | None = None):
        m = centred(means, None)
        self._weight = matching(weight, m)
        self.dim = m.shape[1]
        self._bias = None if bias is None else tensor(bias, "bias", dims=1).to(m.device)
        if self._bias is not None and len(self._bias) != len(m):
            raise InputError(f"bias has {len(self._bias)} values but means has {len(m)} rows")
        # Around the middle of the means, where |m|^2 - 2 <x, m> loses the fewest digits.
        self._middle = m.mean(0)
        self._means = m - self._middle
        self._half_squares = self._means.square().sum(1) / 2

    def agree(self, features: Tensor) -> int:
        """Return on how many of these features (n, d) both rules choose the same class."""
        hits = 0
        for part in features.split(max(1, _SCORES // len(self._means))):
            x = part.to(self._means)
            scores = x @ self._weight.T
            linear = (scores if self._bias is None else scores.add_(self._bias)).argmax(1)
            # argmin |x - m|^2 is argmax of <x, m> - |m|^2 / 2.
            nearest = ((x - self._middle) @ self._means.T).sub_(self._half_squares).argmax(1)
            hits += int((linear == nearest).sum())
        return hits
