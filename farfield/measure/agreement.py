"""Whether two spaces place the same examples alike, example by example, and without fitting one to the other."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor

# Similarities nearer than this are equal: duplicates differ by what rounding leaves.
TIE = 1e-12
CELLS = 2**23


@dataclass(frozen=True)
class SpaceAgreement:
    """How two spaces agree on the same examples, each from 0 to 1 (cosine from -1).

    **Fields:** ``jaccard``: shared part of the neighbours of the two vectors of an example; ``mrr``: mean reciprocal rank of an
    example's own vector; ``cosine``: of the two vectors. Means over the examples.
    """

    jaccard: float
    mrr: float
    cosine: float


def space_agreement(queries: Float[Array, "n d"], keys: Float[Array, "n d"], *, topk: int = 10) -> SpaceAgreement:
    """Return how well the vectors of one space find, in another, the neighbours and the vectors of the same examples.

    Everything goes by cosines. Of example i, ``near(q_i)`` are the topk keys next to its query, ``near(k_i)`` those next to its
    own key (which is one of them). jaccard is ``|near(q_i) & near(k_i)| / |near(q_i) | near(k_i)|``; mrr is 1 / rank of
    k_i for the query q_i, and 0 beyond topk; cosine is that of q_i and k_i. By chance jaccard is about topk / 2n. Cosine alone
    says little: all directions of a trained network can lie close together.

    Keys as near as the last of the topk (within 1e-12) are neighbours too, and tied keys share the mean of their ranks, so
    duplicated points give the same numbers in any order. A row of zeros has no direction: its cosines are 0. Memory is
    bounded, time grows with n squared.

    **Arguments:** ``queries``, ``keys``: one row per example, the same examples in the same order, of one width; spaces of
    different widths become comparable by `relative_representation`. ``topk``: from 1 to n - 1.

    Raises InputError where rows or widths do not match, a value is not finite, all rows of one space point the same way,
    or topk is out of range.

    Source: Moschella et al., ICLR 2023, section 4 (word embeddings).

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> space_agreement(x, 2 * x, topk=5)
    SpaceAgreement(jaccard=1.0, mrr=1.0, cosine=1.0)
    """
    q, k = _directions(queries, "queries"), _directions(keys, "keys")
    same_rows(queries=q, keys=k)
    if q.shape[1] != k.shape[1]:
        raise InputError(
            f"queries has {q.shape[1]} columns but keys has {k.shape[1]}; make both relative to the same anchors first"
        )
    n = len(q)
    if not 1 <= topk < n:
        raise InputError(f"topk is {topk}; expected from 1 to {n - 1}, one less than the examples")
    jaccard, reciprocal = q.new_zeros(()), q.new_zeros(())
    for rows in torch.arange(n, device=q.device).split(max(1, CELLS // n)):
        across, within = q[rows] @ k.T, k[rows] @ k.T  # (r, n)
        near, own_near = _neighbours(across, topk), _neighbours(within, topk)
        jaccard += ((near & own_near).sum(1) / (near | own_near).sum(1)).sum()
        own = across.gather(1, rows[:, None])
        above = (across > own + TIE).sum(1)
        tied = ((across - own).abs() <= TIE).sum(1)
        rank = above + (tied + 1) / 2
        reciprocal += torch.where(rank <= topk, 1 / rank, 0).sum()
    cosine = (q * k).sum(1).mean()
    # What rounding adds must not leave the range.
    return SpaceAgreement(float(jaccard / n), float(reciprocal / n), float(cosine.clamp(-1, 1)))


def relative_representation(
    latents: Float[Array, "n d"], anchors: Int[Array, " k"] | Float[Array, "k d"], *, center: bool = False
) -> Float[Array, "n k"]:
    """Return each example's cosines to the anchors, which a rotation, reflection or scaling of the space does not change.

    The same numbers as `farfield.nn.RelativeProjection`, for arrays. A row of zeros has the cosine 0 to everything.

    **Arguments:**
    - ``anchors``: row numbers into ``latents`` (whole numbers, (k,)), or the anchors' own latents (k, d).
    - ``center``: subtract the anchors' mean from all first, so that a shift changes nothing either.

    Raises InputError where row numbers are out of range, widths do not match or a value is not finite.

    >>> import numpy as np
    >>> relative_representation(np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]), np.array([1, 2])).round(2)[0].tolist()
    [0.6, 0.8]
    """
    x = tensor(latents, "latents")
    a = _anchor_rows(x, anchors)
    if center:
        if len(a) < 2:
            raise InputError("center needs at least 2 anchors; 1 came")
        mean = a.mean(0)
        x, a = x - mean, a - mean
    return like(normalize(x, dim=1) @ normalize(a, dim=1).T, latents)


def relative_similarity(
    first: Float[Array, "n d1"], second: Float[Array, "n d2"], anchors: Int[Array, " k"], *, center: bool = False
) -> Float[Array, " n"]:
    """Return for each example the cosine of its relative representations in two spaces, whatever their widths.

    Its mean over the examples is the similarity of a model to a reference: the nearer to a good model, the better
    the model tends to be. Cosines of trained networks can all lie near 1; ``center`` spreads them.

    **Arguments:** ``first``, ``second``: the same examples in the same order; ``anchors``: (k,) row numbers, at least 2;
    ``center``: as in `relative_representation`.

    Raises InputError where rows do not match, there are fewer than 2 anchors, a row number is out of range, or a value is not
    finite.

    Source: Moschella et al., ICLR 2023, section 4 (latent distance as a performance proxy).

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(6, 3))
    >>> relative_similarity(x, 5 * x[:, ::-1], np.arange(4)).round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    x, y = tensor(first, "first"), tensor(second, "second")
    same_rows(first=x, second=y)
    if len(anchors) < 2:
        raise InputError(
            f"{len(anchors)} anchors came; expected at least 2, else all representations point the same way"
        )
    a, b = (relative_representation(v, _ids(x, anchors), center=center) for v in (x, y))
    return like((normalize(a, dim=1) * normalize(b, dim=1)).sum(1).clamp(-1, 1), first)


def _directions(values: Array, name: str) -> Tensor:
    x = tensor(values, name, rows=2)
    directions = normalize(x, dim=1)
    if ((directions - directions[0]).abs() <= TIE).all():
        raise InputError(f"all rows of {name} point the same way, so there are no neighbours to compare")
    return directions


def _neighbours(similar: Tensor, topk: int) -> Tensor:
    """Return (r, n) bool: the keys among the topk of each row, with those tied to the last."""
    last = similar.topk(topk, dim=1).values[:, -1:]
    return similar >= last - TIE


def _anchor_rows(x: Tensor, anchors: Array) -> Tensor:
    if getattr(anchors, "ndim", 1) == 2:
        a = tensor(anchors, "anchors").to(x.device)
        if a.shape[1] != x.shape[1]:
            raise InputError(f"anchors has {a.shape[1]} columns but latents has {x.shape[1]}")
        return a
    return x[_ids(x, anchors)]


def _ids(x: Tensor, anchors: Array) -> Tensor:
    found = torch.as_tensor(anchors, device=x.device)
    if found.ndim != 1 or not len(found) or found.is_floating_point() or found.dtype == torch.bool:
        raise InputError(
            f"anchors is {found.dtype} of shape {tuple(found.shape)}; expected row numbers (k,) or latents"
        )
    if int(found.min()) < 0 or int(found.max()) >= len(x):
        raise InputError(
            f"anchors holds row numbers from {int(found.min())} to {int(found.max())}; there are {len(x)} rows"
        )
    return found.long()
