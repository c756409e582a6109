"""How much a representation still tells about what it should not depend on."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from farfield.measure._arrays import Array, tensor
from farfield.measure.probe import Accuracy, linear_probe


@dataclass(frozen=True)
class NuisanceProbe:
    """What a linear classifier reads of a nuisance.

    **Fields:** ``accuracy``: on rows that it was not fitted to; ``chance``: the share of the most frequent value, what one gets
    without looking; ``gained``: how far the accuracy is from chance to 1, at most 1; 0 or below is nothing.
    """

    accuracy: Accuracy
    chance: float
    gained: float


def nuisance_probe(
    z: Float[Array, "n d"], nuisance: Int[Array, "n"], *, folds: int = 5, seed: int = 0
) -> NuisanceProbe:
    """Return how well a linear classifier reads a nuisance (a target group, an author, a site) from a representation.

    Measure it on rows where the nuisance does not go with the label: otherwise a representation of the label alone tells it too.

    **Arguments:** ``nuisance``: integers; ``folds``, ``seed``: of the cross-validation, see `linear_probe`.

    Raises InputError as `linear_probe` does.

    >>> z = np.repeat([[0.0], [1.0]], 20, axis=0)
    >>> found = nuisance_probe(z, np.repeat([0, 1], 20))
    >>> found.accuracy.value, found.chance, found.gained
    (1.0, 0.5, 1.0)
    """
    accuracy = linear_probe(z, nuisance, folds=folds, seed=seed)
    counts = np.unique(tensor(nuisance, "nuisance", dims=1).cpu().numpy(), return_counts=True)[1]
    chance = float(counts.max() / counts.sum())
    return NuisanceProbe(accuracy, chance, (accuracy.value - chance) / (1 - chance))
