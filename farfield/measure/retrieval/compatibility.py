"""Whether a later model's vectors find what they should among the vectors of earlier ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor
from farfield.nn.evaluating import evaluating

BLOCK = 16_000_000  # similarities held at once
ROWS = 512  # inputs that a model sees at once
# Distances that differ by less are equal: rounding must not count as a change.
EQUAL = {torch.float64: 1e-12, torch.float32: 1e-6}

Model = Array | Callable[[Any], Tensor]
Metric = Callable[[Array, Array, Array, Array], float]


def identification_accuracy(
    q: Float[Array, "n d"], qy: Int[Array, " n"], g: Float[Array, "m d"], gy: Int[Array, " m"]
) -> float:
    """Return the share of queries whose nearest class is theirs (1:N identification, rank 1).

    A class of the gallery is the mean of its rows, each of length 1, brought to length 1 again; the nearest has the
    largest inner product, of several the class with the lowest label. A query's own length does not matter. Rows of
    zeros stay zeros.

    **Arguments:** ``q``, ``qy``: queries and their classes; ``g``, ``gy``: the gallery. float32 is compared in float32.

    Raises InputError where shapes do not match, or a query's class is not in the gallery.

    Source: Biondi et al., CVPR 2024, section 5 (1:N open-set identification), as in the released code.

    >>> import numpy as np
    >>> gallery, labels = np.array([[1.0, 0.1], [1.0, -0.1], [0.0, 1.0]]), np.array([7, 7, 9])
    >>> identification_accuracy(np.array([[3.0, 1.0], [1.0, 3.0]]), np.array([7, 7]), gallery, labels)
    0.5
    """
    gallery, queries = tensor(g, "g", dtype=None), tensor(q, "q", dtype=None)
    queries = queries.to(gallery)
    known, wanted = (
        tensor(values, name, dims=1, dtype=torch.int64).to(gallery.device) for name, values in (("gy", gy), ("qy", qy))
    )
    same_rows(g=gallery, gy=known)
    same_rows(q=queries, qy=wanted)
    if queries.shape[1] != gallery.shape[1]:
        raise InputError(f"q has {queries.shape[1]} dimensions but g has {gallery.shape[1]}; they must be equal")
    classes, number = known.unique(return_inverse=True)
    absent = wanted[~torch.isin(wanted, classes)]
    if len(absent):
        raise InputError(f"qy holds the class {int(absent[0])}, which is not in gy")
    sums = torch.zeros(len(classes), gallery.shape[1], dtype=gallery.dtype, device=gallery.device)
    # The sum points where the mean does.
    templates = normalize(sums.index_add_(0, number, normalize(gallery, dim=1)), dim=1)
    blocks = queries.split(max(1, BLOCK // len(classes)))
    found = torch.cat([(block @ templates.T).argmax(1) for block in blocks])
    return float((classes[found] == wanted).double().mean())


def compatibility_matrix(
    models: Sequence[Model],
    query: tuple[Array, Int[Array, " n"]],
    gallery: tuple[Array, Int[Array, " m"]],
    metric: Metric = identification_accuracy,
) -> Float[np.ndarray, "models models"]:
    """Return ``C[t, k]``, k <= t: the accuracy of queries by model t in the gallery of model k; above the diagonal NaN.

    **Arguments:**
    - ``models``, the oldest first: functions or modules, inputs -> vectors (n, d), which see 512 inputs at once; or
      arrays (n, d) of vectors at hand, old and new of the same items.
    - ``query``, ``gallery``: inputs and classes; where models are arrays, the rows that are queries and those that
      are the gallery.
    - ``metric``: ``metric(queries, their classes, gallery, its classes)`` -> float.

    Of two models of different width, the first dimensions that both have are compared, as `compatibility_report` does.

    Raises InputError where there is no model, a model gives no (n, d), a row is not there, and as the metric does.

    Source: Biondi et al., CVPR 2024, section 5 (compatibility matrix).

    >>> old = np.array([[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [0.6, 0.5]])
    >>> rows, y = np.array([1, 3]), np.array([0, 0, 1, 1])
    >>> compatibility_matrix([old, old[:, ::-1]], (rows, y[rows]), (rows - 1, y[rows - 1]))
    array([[0.5, nan],
           [0.5, 0.5]])
    """
    if not len(models):
        raise InputError("models is empty; expected at least one, the oldest first")
    same_rows(inputs_of_query=query[0], classes_of_query=query[1])
    same_rows(inputs_of_gallery=gallery[0], classes_of_gallery=gallery[1])
    found = np.full((len(models), len(models)), np.nan)
    stored = [_vectors(model, gallery[0], f"models[{k}]") for k, model in enumerate(models)]
    for t, model in enumerate(models):
        queries = _vectors(model, query[0], f"models[{t}]")
        for k in range(t + 1):
            d = min(queries.shape[1], stored[k].shape[1])
            found[t, k] = metric(queries[:, :d], query[1], stored[k][:, :d], gallery[1])
    return found


def average_compatibility(accuracies: Float[Array, "models models"]) -> float:
    """Return AC, the share of pairs t > k with ``C[t, k] > C[k, k]``: new queries gain in the old gallery.

    From 0 to 1. A tie counts as incompatible, and by how much does not count: a model that maps all to one point has
    0, and so has one that never loses nor gains. Report `average_accuracy` with it.

    **Arguments:** ``accuracies``: C, see `compatibility_matrix`; what is above the diagonal is not looked at.

    Raises InputError on fewer than two models, a matrix that is not square, or an entry below the diagonal that is
    not finite.

    Source: Biondi et al., CVPR 2024, section 5 (average compatibility; Biondi et al., 2023).

    >>> average_compatibility(np.array([[0.5, np.nan], [0.6, 0.7]]))
    1.0
    """
    c = _triangle(accuracies, least=2)
    later, earlier = np.tril_indices(len(c), -1)
    return float((c[later, earlier] > c.diagonal()[earlier]).mean())


def average_accuracy(accuracies: Float[Array, "models models"], drop_zeros: bool = False) -> float:
    """Return AM, the mean of the lower triangle with its diagonal, in percent: how good search was over all models.

    **Arguments:**
    - ``accuracies``: C, shares from 0 to 1, see `compatibility_matrix`; what is above the diagonal is not looked at.
    - ``drop_zeros``: take an accuracy of exactly 0 for a missing one, as the released code does. Where all are, AM is
      0.

    Raises InputError on a matrix that is not square, or an entry that is no share.

    Source: Biondi et al., CVPR 2024, section 5 (average multi-model accuracy; AA in the notebooks). Differs from the
    released code in: a true 0 counts unless asked otherwise, and it is always in percent.

    >>> average_accuracy(np.array([[0.5, np.nan], [0.6, 0.7]]))
    60.0
    """
    c = _triangle(accuracies, least=1)
    values = c[np.tril_indices(len(c))]
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"accuracies go from {values.min():g} to {values.max():g}; expected shares from 0 to 1")
    if drop_zeros:
        values = values[values > 0]
    return float(100 * values.mean()) if len(values) else 0.0


@dataclass(frozen=True)
class Violations:
    """Which share of pairs (i, j) violates each of the two inequalities of compatibility.

    **Fields:** ``same``: of pairs of one class, those that got further from each other; ``different``: of pairs of
    two classes, those that got nearer.

    >>> Violations(same=0.25, different=0.5).same
    0.25
    """

    same: float
    different: float


def compatibility_violations(
    phi_new: Float[Array, "n d_new"], phi_old: Float[Array, "n d_old"], y: Int[Array, " n"]
) -> Violations:
    """Return how often a new model is not compatible with an old one, pair by pair.

    It is compatible where, for all i and j, ``d(new_i, old_j) <= d(old_i, old_j)`` if they are of one class, and
    ``>=`` if not. d is 1 minus the cosine, which orders pairs as the distance of vectors of length 1; a row of zeros
    has cosines of 0. Pairs of an item with itself are left out: there the old distance is 0. Distances equal up to
    rounding violate nothing.

    **Arguments:** vectors of the same n >= 3 items, and their classes. Of different widths, the first dimensions that
    both have are compared. float32 is compared in float32; memory is bounded, time grows with n^2.

    Raises InputError where rows do not match, or no two items are of one class, or all are.

    Source: Biondi et al., CVPR 2024, section 3 (definition of compatibility; Shen et al., CVPR 2020).

    >>> old, y = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), np.array([0, 0, 1])
    >>> compatibility_violations(old, old, y)
    Violations(same=0.0, different=0.0)
    """
    old = tensor(phi_old, "phi_old", rows=3, dtype=None)
    new = tensor(phi_new, "phi_new", rows=3, dtype=None).to(old)
    labels = tensor(y, "y", dims=1, dtype=torch.int64).to(old.device)
    same_rows(phi_new=new, phi_old=old, y=labels)
    d, n = min(new.shape[1], old.shape[1]), len(labels)
    new, old = normalize(new[:, :d], dim=1), normalize(old[:, :d], dim=1)
    worse, pairs = torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
    for start in range(0, n, max(1, BLOCK // n)):
        rows = torch.arange(start, min(start + max(1, BLOCK // n), n), device=old.device)
        # Larger cosine, smaller distance.
        nearer = (new[rows] - old[rows]) @ old.T
        same = labels[rows, None] == labels
        other = ~same
        same[torch.arange(len(rows)), rows] = False
        for i, (kind, bad) in enumerate(((same, nearer < -EQUAL[old.dtype]), (other, nearer > EQUAL[old.dtype]))):
            pairs[i] += int(kind.sum())
            worse[i] += int((kind & bad).sum())
    if not pairs.all():
        lacking = "no two items of one class" if not pairs[0] else "a single class"
        raise InputError(f"y has {lacking}; both inequalities need pairs")
    shares = (worse.double() / pairs).tolist()
    return Violations(*shares)


def _vectors(model: Model, inputs: Array, name: str) -> Tensor:
    """Return the vectors (n, d) of these inputs, or rows of an array of them."""
    if isinstance(model, np.ndarray | Tensor):
        every = tensor(model, name, dtype=None)
        rows = tensor(inputs, "rows", dims=1, dtype=torch.int64).to(every.device)
        if rows.min() < 0 or rows.max() >= len(every):
            raise InputError(
                f"{name} has {len(every)} rows; rows {int(rows.min())} to {int(rows.max())} were asked for"
            )
        return every[rows]
    parts = [inputs[i : i + ROWS] for i in range(0, len(inputs), ROWS)]
    with torch.no_grad():
        if isinstance(model, nn.Module):
            first = next(iter(model.parameters()), next(iter(model.buffers()), None))
            with evaluating(model):
                found = [model(torch.as_tensor(part, device=None if first is None else first.device)) for part in parts]
        else:
            found = [model(part) for part in parts]
    return torch.cat([tensor(part, f"the output of {name}", dtype=None) for part in found])


def _triangle(accuracies: Array, *, least: int) -> np.ndarray:
    """Return the matrix as float64 numpy, its lower triangle checked."""
    c = np.asarray(accuracies.detach().cpu() if isinstance(accuracies, Tensor) else accuracies, dtype=np.float64)
    if c.ndim != 2 or c.shape[0] != c.shape[1] or len(c) < least:
        raise InputError(f"accuracies has shape {c.shape}; expected (models, models) with at least {least}")
    rows, columns = np.tril_indices(len(c))
    if not np.isfinite(c[rows, columns]).all():
        raise InputError("accuracies holds a value on or below the diagonal that is not finite")
    return c
