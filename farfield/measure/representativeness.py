"""Which attributes (channels) of a network stand for a concept, and how evenly: representativeness and the priors made from it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor

TINY = 1e-12


def attribute_matrix(activations: Array, concepts: Array, *, count: int | None = None) -> Float[Array, "c d"]:
    """Return how strongly each concept activates each attribute: the mean over its images of the maximum over positions.

    **Arguments:**
    - ``activations``: (n, d, height, width) feature maps, or (n, d) that are pooled already; at least 0, as after a ReLU.
    - ``concepts``: (n,) integers from 0; ``count``: number of concepts c, the largest integer + 1 where it is not given.

    Raises InputError on negative activations, other shapes, and a concept without an image.

    Source: Shi et al., ICML 2023: ``e(x)_z`` is the spatial maximum of channel z, ``R_cz`` its mean over the concept's images.

    >>> import numpy as np
    >>> maps = np.array([[[[1.0, 3.0]], [[0.0, 1.0]]], [[[1.0, 0.0]], [[1.0, 1.0]]]])  # two images, two channels of 1x2
    >>> attribute_matrix(maps, np.array([0, 1])).tolist()
    [[3.0, 1.0], [1.0, 1.0]]
    """
    x = _not_negative(tensor(activations, "activations", dims=None, dtype=None), "activations")
    if x.ndim not in (2, 4):
        raise InputError(f"activations has shape {tuple(x.shape)}; expected (n, d) or (n, d, height, width)")
    labels = concept_numbers(concepts, count).to(x.device)
    same_rows(activations=x, concepts=labels)
    size = int(labels.max()) + 1 if count is None else count
    images = labels.bincount(minlength=size)
    if not images.all():
        raise InputError(f"concepts has no image of concept {int((images == 0).nonzero()[0])} of {size}")
    peaks = (x if x.ndim == 2 else x.amax((2, 3))).double()  # (n, d), e(x)
    total = torch.zeros(size, peaks.shape[1], dtype=peaks.dtype, device=x.device).index_add_(0, labels, peaks)
    return like(total / images[:, None], activations)


def attribute_given_concept(raw: Float[Array, "c d"]) -> Float[Array, "c d"]:
    """Return P(attribute | concept): each row of the attribute matrix divided by its sum. A row of zeros stays zeros.

    **Arguments:** ``raw``: from `attribute_matrix`, at least 0.

    Raises InputError on negative numbers and other shapes.

    Source: Shi et al., ICML 2023; 1e-12 is added to the sum, as in the released code.

    >>> import numpy as np
    >>> attribute_given_concept(np.array([[3.0, 1.0], [1.0, 1.0]])).round(6).tolist()
    [[0.75, 0.25], [0.5, 0.5]]
    """
    x = _matrix(raw)
    return like(x / (x.sum(1, keepdim=True) + TINY), raw)


def concept_given_attribute(raw: Float[Array, "c d"]) -> Float[Array, "c d"]:
    """Return P(concept | attribute): each column of the attribute matrix divided by its sum. A dead attribute stays zeros.

    **Arguments:** ``raw``: from `attribute_matrix`, at least 0.

    Raises InputError on negative numbers and other shapes.

    Source: Shi et al., ICML 2023; 1e-12 is added to the sum, as in the released code.

    >>> import numpy as np
    >>> concept_given_attribute(np.array([[3.0, 1.0], [1.0, 1.0]])).round(6).tolist()
    [[0.75, 0.5], [0.25, 0.5]]
    """
    x = _matrix(raw)
    return like(x / (x.sum(0) + TINY), raw)


def representativeness(raw: Float[Array, "c d"], *, log: bool = False) -> Float[Array, "c d"]:
    """Return how well each attribute represents each concept among the others: ``P(z|c) / (1 - P(c|z) + 1e-12)``.

    An attribute of one concept alone gets about ``P(z|c)`` times 1e12: clip for plots. A dead attribute, or one that the concept
    never shows, gets 0. The scale of all activations makes no difference.

    **Arguments:** ``raw``: from `attribute_matrix`, at least 0; ``log``: its natural logarithm, -inf where it is 0.

    Raises InputError on negative numbers and other shapes.

    Source: Shi et al., ICML 2023, after Tenenbaum & Griffiths (2001), ``log P(d|h) / sum_h' P(d|h') P(h')``.

    >>> import numpy as np
    >>> representativeness(np.array([[3.0, 1.0], [1.0, 1.0]])).round(4).tolist()
    [[3.0, 0.5], [0.6667, 1.0]]
    """
    x = _matrix(raw)
    others = (1 - x / (x.sum(0) + TINY)).clamp(min=0)  # P(c'|z) summed over the other concepts
    found = x / (x.sum(1, keepdim=True) + TINY) / (others + TINY)
    return like(found.log() if log else found, raw)


@dataclass(frozen=True)
class ConceptPriors:
    """How evenly each concept spreads over the attributes, and the prior weights made from it.

    **Fields:** ``entropy`` (c,) in nats, 0 to ln d; ``relatedness`` (c,), proportional to exp(entropy); ``analogy`` (c,), proportional to
    exp(-entropy). Both sum to 1.

    >>> import numpy as np
    >>> concept_priors(np.array([[1.0, 1.0], [1.0, 0.0]])).relatedness.round(3).tolist()
    [0.667, 0.333]
    """

    entropy: Array
    relatedness: Array
    analogy: Array


def concept_priors(raw: Float[Array, "c d"]) -> ConceptPriors:
    """Return the entropy of each concept's attributes and the prior weights for relatedness and for analogy.

    A novel example is one more row of the matrix. A row of zeros has entropy 0.

    **Arguments:** ``raw``: from `attribute_matrix`, at least 0.

    Raises InputError on negative numbers and other shapes.

    Source: Shi et al., ICML 2023, released code (``uninformative_prior``).

    >>> import numpy as np
    >>> found = concept_priors(np.array([[1.0, 1.0], [1.0, 0.0]]))
    >>> found.entropy.round(4).tolist(), (found.relatedness * found.analogy).round(4).tolist()
    ([0.6931, 0.0], [0.2222, 0.2222])
    """
    x = _matrix(raw)
    entropy = torch.special.entr(x / (x.sum(1, keepdim=True) + TINY)).sum(1)
    return ConceptPriors(
        like(entropy, raw), like(torch.softmax(entropy, 0), raw), like(torch.softmax(-entropy, 0), raw)
    )


def triple_importance(weights: Float[Array, " c"]) -> tuple[Float[Array, "t 3"], Float[Array, " t"]]:
    """Return every triple of known concepts and its importance for the novel one: ``x y z w / (x + y + z + w)``.

    **Arguments:** ``weights``: (c,) of `concept_priors`, above 0, that of the novel concept w last; c at least 4.

    Raises InputError where there are fewer, or one is not above 0.

    Source: Shi et al., ICML 2023, released code (``concept_graph``).

    >>> import numpy as np
    >>> triples, importance = triple_importance(np.array([1.0, 2.0, 3.0, 4.0]))
    >>> triples.tolist(), importance.tolist()
    ([[0, 1, 2]], [2.4])
    """
    w = tensor(weights, "weights", dims=1, rows=4)
    if float(w.min()) <= 0:
        raise InputError(f"weights has {float(w.min()):g}; each must be above 0")
    triples = torch.combinations(torch.arange(len(w) - 1, device=w.device), 3)
    four = torch.cat([w[triples], w[-1].expand(len(triples), 1)], 1)
    return like(triples, weights), like(four.prod(1) / four.sum(1), weights)


def concept_numbers(concepts: Array, count: int | None = None, *, name: str = "concepts") -> Tensor:
    """Return concept numbers (n,) as int64. Raises InputError where they are no whole numbers from 0 to below ``count``.

    >>> concept_numbers([0, 2]).tolist()
    [0, 2]
    """
    found = tensor(concepts, name, dims=1)
    below = torch.inf if count is None else count
    if not (found == found.round()).all() or float(found.min()) < 0 or float(found.max()) >= below:
        end = "" if count is None else f" to {count - 1}"
        raise InputError(
            f"{name} has values from {found.min():g} to {found.max():g}; expected whole numbers from 0{end}"
        )
    return found.long()


def _matrix(raw: Array) -> Tensor:
    return _not_negative(tensor(raw, "raw", rows=2), "raw")


def _not_negative(x: Tensor, name: str) -> Tensor:
    if float(x.min()) < 0:
        raise InputError(f"{name} has {float(x.min()):g}; attributes must be at least 0, as after a ReLU")
    return x
